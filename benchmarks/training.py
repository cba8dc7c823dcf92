"""Training an SAE end to end, the model's forward included: tokens a second of ours, sparsify and sae-lens.

    python benchmarks/training.py [--tokens 16384] [--passes 1] [--rounds 2] [--only ours sparsify] [--json OUT.json]

All train a TopK SAE of one size on one layer of the bundled model, on the same text in rows of 256 tokens, in steps of
4,096 tokens, on one thread; each as its own manual has it, with its own optimiser and defaults otherwise, and in a
process of its own, in turn. A second is one of the processor's, so that other programs on the machine count little;
from the model, loaded, to the SAE on disk. Every model is in bfloat16, as its weights are. Where the text is read in
several passes, ours computes its activations once, as it does by itself; tokens count in each pass.

Needs eai-sparsify and sae-lens (tests/saes/formats/owners.txt).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAYER, WIDTH, LATENTS, K, BATCH, ROW = 12, 576, 4608, 32, 4096, 256
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4 * BATCH)
    parser.add_argument("--passes", type=int, default=1, help="over the tokens")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(args.one, args.tokens, args.passes)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in args.only}
    for _ in range(args.rounds):
        for name, found in runs.items():
            found.append(alone(name, args.tokens, args.passes))
            print(f"{name}: {found[-1]['tokens_a_second']:.0f} tokens a second, {found[-1]['dtype']}", flush=True)
    figures = {name: statistics.median(run["tokens_a_second"] for run in found) for name, found in runs.items()}
    for name, figure in figures.items():
        against = f", ours {figures['ours'] / figure:.2f}×" if "ours" in figures and name != "ours" else ""
        print(f"median of {args.rounds}: {name} {figure:.0f} tokens a second{against}")
    if args.json:
        args.json.write_text(json.dumps({"median": figures, "runs": runs}, indent=1) + "\n")


def alone(name: str, tokens: int, passes: int) -> dict[str, Any]:
    """One contender in a process of its own, on one thread."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, __file__, "--one", name, "--tokens", str(tokens), "--passes", str(passes)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, tokens: int, passes: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        dtype, train = CONTENDERS[name](tokens, passes, Path(folder))
        began, cpu = time.monotonic(), time.process_time()
        train()
        took, spent = time.monotonic() - began, time.process_time() - cpu
    seen = tokens * passes
    return {"tokens_a_second": seen / spent, "cpu_seconds": spent, "seconds": took, "tokens": seen, "dtype": dtype}


def rows(tokens: int) -> list[list[int]]:
    """The manual's text as rows of token ids, from its beginning again where it is too short."""
    from transformers import AutoTokenizer

    from clampdown.models.bundled import bundled_folder

    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    ids = AutoTokenizer.from_pretrained(bundled_folder())(text, verbose=False)["input_ids"]
    ids *= -(-tokens // len(ids))
    return [ids[start : start + ROW] for start in range(0, tokens, ROW)]


def ours(tokens: int, passes: int, folder: Path) -> tuple[str, Callable[[], object]]:
    from clampdown.discovery import train_sae
    from clampdown.models.chat_model import load_chat_model
    from clampdown.saes.training import Settings

    # As many tokens as the others count: ours leaves the first of each row out, which is a sink.
    found = rows(tokens + 2 * ROW * (tokens // ROW) // (ROW - 1))
    train_sae.read_rows = lambda *_: found  # the same rows for all, whatever a file's layout would make of them
    model = load_chat_model(dtype="bfloat16")  # as the others load it; ours measures which is faster
    settings = Settings("topk", LATENTS, K, tokens * passes, BATCH)
    return str(model.dtype), lambda: train_sae.train_sae(model, LAYER, [Path("docs")], folder, settings)


def sparsify(tokens: int, passes: int, folder: Path) -> tuple[str, Callable[[], object]]:
    """As `python -m sparsify` does it."""
    from datasets import Dataset
    from sparsify import SaeConfig, TrainConfig, Trainer
    from transformers import AutoModel

    from clampdown.models.bundled import bundled_folder

    model = AutoModel.from_pretrained(bundled_folder(), torch_dtype="auto")
    data = Dataset.from_dict({"input_ids": rows(tokens) * passes}).with_format("torch")
    sae = SaeConfig(num_latents=LATENTS, k=K)
    os.chdir(folder)
    config = TrainConfig(sae, batch_size=BATCH // ROW, layers=[LAYER], log_to_wandb=False, save_dir=str(folder))
    trainer = Trainer(config, data, model)
    return str(model.dtype), trainer.fit


def sae_lens(tokens: int, passes: int, folder: Path) -> tuple[str, Callable[[], object]]:
    """A model from a folder, as it loads those that TransformerLens does not know."""
    from datasets import Dataset
    from sae_lens import LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner, LoggingConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAEConfig

    from clampdown.models.bundled import bundled_folder

    config = LanguageModelSAERunnerConfig(
        sae=TopKTrainingSAEConfig(d_in=WIDTH, d_sae=LATENTS, k=K),
        model_name=str(bundled_folder()),
        model_class_name="AutoModelForCausalLM",
        hook_name=f"model.layers.{LAYER}",
        context_size=ROW,
        training_tokens=tokens * passes,
        train_batch_size_tokens=BATCH,
        store_batch_size_prompts=BATCH // ROW,
        prepend_bos=False,
        checkpoint_path=None,
        output_path=str(folder / "sae"),
        logger=LoggingConfig(log_to_wandb=False),
        verbose=False,
    )
    data = Dataset.from_dict({"tokens": rows(tokens) * (passes + 2)})
    runner = LanguageModelSAETrainingRunner(config, override_dataset=data)
    return str(next(runner.model.parameters()).dtype), runner.run


CONTENDERS: dict[str, Callable[[int, int, Path], tuple[str, Callable[[], object]]]] = {
    "ours": ours,
    "sparsify": sparsify,
    "sae-lens": sae_lens,
}


if __name__ == "__main__":
    main()
