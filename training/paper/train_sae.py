"""Train the paper's SAE with the library that the paper used, EleutherAI's sparsify: on GPUs, or on the CPU.

    torchrun --nproc_per_node 8 train_sae.py MODEL MIX OUT --layer 6 --expansion 8 --k 32

MIX is what mix.py wrote. The blocks above the layer are never loaded: nothing there changes what comes before. The SAE
lands in OUT/layers.<layer>, which every command of Clampdown reads. Killed, the same command goes on at the last save,
with as many processes. When all is done there is OUT/training.json. The optimiser and its learning rate are sparsify's
defaults; what the paper set them to we do not know.
"""

import argparse
import io
import json
import os
import shutil
import time
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import sparsify.trainer
import torch
import torch.distributed as dist
from sparsify import SaeConfig, TrainConfig, Trainer
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from clampdown.errors import ClampdownError
from clampdown.models.source import find_source

# sparsify names a device by the process's rank, which a CPU does not have, nor a second machine. Unnamed, it is that of
# the weights.
sparsify.trainer.DDP = lambda sae, device_ids: DistributedDataParallel(sae)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("mix", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layer", type=int, default=6, help="counted from 0 (default: 6)")
    parser.add_argument("--expansion", type=int, default=8, help="latents by the model's width (default: 8)")
    parser.add_argument("--k", type=int, default=32, help="(default: 32)")
    parser.add_argument("--batch", type=int, default=8, help="rows a step and process (default: 8)")
    parser.add_argument("--tokens", type=float, help="stop after so many (default: the whole mix)")
    parser.add_argument("--save-every", type=int, default=500, help="steps (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    device = join()
    try:
        with nullcontext() if rank() == 0 else redirect_stdout(io.StringIO()):
            train(args, load_blocks(args.model, args.layer, device))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def join() -> torch.device:
    """This process's device. Under torchrun all processes are joined: by NCCL on GPUs, by Gloo on CPUs."""
    place = os.environ.get("LOCAL_RANK")
    device = torch.device(f"cuda:{place or 0}" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if place is not None:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def load_blocks(name: str, layer: int, device: torch.device) -> Any:
    """The model up to and with block `layer`, without its head."""
    from transformers import AutoConfig, AutoModel, logging

    logging.set_verbosity_error()  # it would list all the blocks that are left out
    source = find_source(name)
    config = AutoConfig.from_pretrained(source.path, revision=source.revision)
    if not 0 <= layer < config.num_hidden_layers:
        raise ClampdownError(f"{name} has {config.num_hidden_layers} blocks; --layer {layer} is not one of them")
    config.num_hidden_layers, config.use_cache = layer + 1, False
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: layer + 1]
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = AutoModel.from_pretrained(source.path, revision=source.revision, config=config, dtype=dtype)
    return model.to(device)


class Rows(Dataset):
    """Rows of a mix, in an order of their own."""

    def __init__(self, ids: np.ndarray, order: np.ndarray) -> None:
        self.ids, self.order = ids, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.from_numpy(self.ids[self.order[place]].astype(np.int64))}

    def select(self, places: range) -> "Rows":
        return Rows(self.ids, self.order[places.start : places.stop])


def share(mix: Path, batch: int, tokens: float | None, seed: int) -> Rows:
    """This process's share of the mix, shuffled by the seed: whole batches, as many as every other process has."""
    facts, world = json.loads((mix / "mix.json").read_text()), processes()
    ids = np.memmap(mix / "rows.bin", dtype="<u4", mode="r").reshape(-1, facts["row"])
    wanted = min(len(ids), round((tokens or facts["tokens"]) / facts["row"]))
    if (whole := wanted - wanted % (batch * world)) == 0:
        raise ClampdownError(f"{mix}: {wanted} rows are less than one batch of {batch} in each of {world} processes")
    return Rows(ids, np.random.default_rng(seed).permutation(len(ids))[:whole][rank() :: world])


class Run(Trainer):
    """sparsify's trainer, made safe to kill: a save takes the last one's place only when it is whole."""

    def save(self) -> None:
        out = Path(self.cfg.save_dir) / self.cfg.run_name
        new, old = (out.with_name(f"{out.name}.{end}") for end in ("new", "old"))
        self.cfg.run_name = new.name
        super().save()
        self.cfg.run_name = out.name
        if rank() == 0:
            shutil.rmtree(old, ignore_errors=True)
            if out.exists():
                out.rename(old)
            new.rename(out)
            shutil.rmtree(old, ignore_errors=True)
        if dist.is_initialized():
            dist.barrier()

    def resume(self) -> None:
        """Go on at the last save, if there is one."""
        out = Path(self.cfg.save_dir) / self.cfg.run_name
        last = next((p for p in (out, out.with_name(f"{out.name}.old")) if (p / "state.pt").exists()), None)
        if last is None:
            return
        self.load_state(str(last))
        for optimizer in self.optimizers:
            if getattr(optimizer, "train_mode", False):
                # Saved weights are the average that is used, but steps are taken elsewhere: move them back there.
                optimizer.train_mode = False
                optimizer.train()


def prepare(args: argparse.Namespace, rows: Rows, model: Any) -> Run:
    config = TrainConfig(
        SaeConfig(expansion_factor=args.expansion, k=args.k),
        layers=[args.layer],
        batch_size=args.batch,
        init_seeds=[args.seed],
        save_dir=str(args.out.parent),
        run_name=args.out.name,
        save_every=args.save_every,
        log_to_wandb=False,
    )
    return Run(config, rows, model)


def train(args: argparse.Namespace, model: Any) -> None:
    done = args.out / "training.json"
    rows = share(args.mix, args.batch, args.tokens, args.seed)
    trainer = prepare(args, rows, model)
    trainer.resume()
    begun, start = trainer.global_step, time.monotonic()
    trainer.fit()
    seconds = time.monotonic() - start
    if rank() == 0:
        world, row = processes(), rows.ids.shape[1]
        here = (trainer.global_step - begun) * args.batch * world * row
        facts = {
            "model": args.model,
            "layer": args.layer,
            "tokens": len(rows) * world * row,
            "processes": world,
            "device": str(model.device),
            "tokens_per_second": round(here / seconds, 1),
        }
        done.write_text(json.dumps(facts, indent=1) + "\n")
        print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    try:
        main()
    except ClampdownError as error:
        raise SystemExit(f"train_sae.py: {error}") from error
