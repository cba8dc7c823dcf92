"""Turn a trained SAE into the bundled one: stored as float16, and measured on unseen text.

    python finish.py FOLDER UNSEEN.jsonl[.gz] [...]

FOLDER is what `clampdown train-sae` wrote; the unseen files are read like its training text, and share none with it.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from clampdown.discovery.corpus import read_rows
from clampdown.discovery.evaluate_sae import evaluate_sae
from clampdown.models.chat_model import load_chat_model
from clampdown.saes.directory import BUNDLED
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.saes.sinks import sink_norm

TARGET = Path(__file__).resolve().parents[2] / "src/clampdown/saes/bundled/smollm2-135m-instruct-layer-12.safetensors"


def norms(model, layer, row):
    """Lengths of the residuals of one row of ids, its first position left out."""
    return model.residual(model.pad([row]), [layer])[0][0, 1:].float().norm(dim=-1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("unseen", type=Path, nargs="+")
    parser.add_argument("--rows", type=int, default=160)
    args = parser.parse_args()
    trained = load_sae(str(args.folder / "sae.safetensors"))
    save_sae(trained, TARGET, torch.float16)
    model, sae = load_chat_model(), load_sae(BUNDLED)
    for path in args.unseen:
        rows = read_rows(model, [path], seed=1)[: args.rows]
        limit = sink_norm(torch.cat([norms(model, sae.layer, row) for row in rows[:20]]))
        print(path.name, json.dumps(asdict(evaluate_sae(model, sae, rows, sink_norm=limit))), flush=True)
    print("never firing on the reference text:", int((sae.maximum == 0).sum()), "of", sae.n_latents)


if __name__ == "__main__":
    main()
