"""Train the paper's SAE with the library that the paper used, EleutherAI's sparsify: on GPUs, or on the CPU.

    torchrun --nproc_per_node 8 train_sae.py MODEL MIX OUT --layer 6 --expansion 8 --k 32

MIX is what mix.py wrote. The blocks above the layer are never loaded: nothing there changes what comes before. The SAE
lands in OUT/layers.<layer>, which every command of Clampdown reads. Killed, the same command goes on at the last save,
with as many processes. When all is done there is OUT/training.json.

The settings are the paper's: learning rate 1e-4 after 1,000 steps of warm-up, steps of 64 rows of 2,048 tokens, one row
at a time, a latent dead after 1e7 tokens, the decoder's rows of length 1, no auxiliary loss, no multi-TopK. That the
optimiser is Adam we infer: in sparsify only Adam warms up.
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

STEP, LEARNING_RATE, WARM_UP, DEAD = 64, 1e-4, 1000, 10_000_000
"""The paper's: rows a step, learning rate, steps of warm-up, tokens after which a latent counts as dead."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("mix", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layer", type=int, default=6, help="counted from 0 (default: 6)")
    parser.add_argument("--expansion", type=int, default=8, help="latents by the model's width (default: 8)")
    parser.add_argument("--k", type=int, default=32, help="(default: 32)")
    parser.add_argument("--batch", type=int, default=1, help="rows at a time in a process (default: 1)")
    parser.add_argument("--step", type=int, default=STEP, help=f"rows a step, of all processes (default: {STEP})")
    parser.add_argument("--optimizer", choices=("adam", "signum"), default="adam", help="(default: adam)")
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help=f"(default: {LEARNING_RATE:g})")
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help=f"steps, for adam (default: {WARM_UP})")
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


class Together(DistributedDataParallel):
    """Processes that exchange gradients once a step, not after each of the batches that it adds up.

    sparsify names a device by the process's rank, which a CPU does not have, nor a second machine. Unnamed, it is that
    of the weights.
    """

    batches = 1

    def __init__(self, sae: torch.nn.Module, device_ids: list[int]) -> None:
        super().__init__(sae)
        self.seen = 0

    def forward(self, *inputs: Any, **named: Any) -> Any:
        self.seen += 1
        self.require_backward_grad_sync = self.seen % self.batches == 0
        return super().forward(*inputs, **named)


sparsify.trainer.DDP = Together


def share(mix: Path, step: int, tokens: float | None, seed: int) -> Rows:
    """This process's share of the mix, shuffled by the seed: whole steps, as many rows as every other process has."""
    facts, world = json.loads((mix / "mix.json").read_text()), processes()
    ids = np.memmap(mix / "rows.bin", dtype="<u4", mode="r").reshape(-1, facts["row"])
    wanted = min(len(ids), round((tokens or facts["tokens"]) / facts["row"]))
    if (whole := wanted - wanted % step) == 0:
        raise ClampdownError(f"{mix}: {wanted} rows are less than one step of {step}; set a smaller --step")
    return Rows(ids, np.random.default_rng(seed).permutation(len(ids))[:whole][rank() :: world])


def batches(step: int, batch: int) -> int:
    """How many batches of this process add up to a step. Raises ClampdownError if they don't come out even."""
    if step % (batch * processes()):
        raise ClampdownError(
            f"a step of {step} rows is no multiple of {batch} rows in each of {processes()} processes; set --step or "
            "--batch"
        )
    return step // (batch * processes())


class Run(Trainer):
    """sparsify's trainer, made safe to kill: a save takes the last one's place only when it is whole."""

    def save(self) -> None:
        # sparsify saves before it counts the batch that ended the step; going on would take that batch again.
        counted = self.global_step
        self.global_step = min(counted + 1, len(self.dataset) // self.cfg.batch_size)
        try:
            self._save()
        finally:
            self.global_step = counted

    def _save(self) -> None:
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
        SaeConfig(expansion_factor=args.expansion, k=args.k, normalize_decoder=True, multi_topk=False),
        layers=[args.layer],
        batch_size=args.batch,
        grad_acc_steps=batches(args.step, args.batch),
        optimizer=args.optimizer,
        lr=args.lr,
        lr_warmup_steps=args.warm_up,
        auxk_alpha=0.0,
        dead_feature_threshold=DEAD,
        init_seeds=[args.seed],
        save_dir=str(args.out.parent),
        run_name=args.out.name,
        save_every=args.save_every,
        log_to_wandb=False,
    )
    Together.batches = config.grad_acc_steps
    return Run(config, rows, model)


def train(args: argparse.Namespace, model: Any) -> None:
    done = args.out / "training.json"
    batches(args.step, args.batch)
    rows = share(args.mix, args.step, args.tokens, args.seed)
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
            "tokens_a_step": args.step * row,
            "optimizer": args.optimizer,
            "learning_rate": args.lr,
            "warm_up": args.warm_up,
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
