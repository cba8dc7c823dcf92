"""Measure what train_sae.py will cost here: a few steps on random weights of the paper's shapes. Nothing is downloaded.

    python measure.py phi3                                (or llama31; torchrun --nproc_per_node 8 for eight GPUs)
    python measure.py phi3 --steps 5                      a CPU has the patience for five steps of 2,048 tokens

The first step sets things up and is left out, saving too. FLOPs are counted as in docs/paper.md. A CPU's seconds are
those of its cores, whatever else they were busy with.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from train_sae import LEARNING_RATE, WARM_UP, Rows, join, prepare, processes, rank

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "phi3": ("phi3", {"hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 32, "vocab_size": 32064}),
    "llama31": (
        "llama",
        {"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "vocab_size": 128256}
        | {"num_key_value_heads": 8},
    ),
}
TOKENS = 2e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--expansion", type=int, default=8)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=1, help="rows a step and process (default: 1)")
    parser.add_argument("--optimizer", choices=("adam", "signum"), default="adam", help="(default: adam)")
    parser.add_argument("--row", type=int, default=2048, help="token ids a row (default: 2048)")
    parser.add_argument("--steps", type=int, default=20, help="(default: 20)")
    args = parser.parse_args()
    device = join()
    try:
        facts = measure(args, device)
        if rank() == 0:
            print(json.dumps(facts, indent=1))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def measure(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    model = random_blocks(args.shape, args.layer, args.row, device)
    ids = np.random.default_rng(rank()).integers(20, model.config.vocab_size, (args.steps * args.batch, args.row))
    rows = Timed(ids, np.arange(len(ids)), args.batch, device)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"out": Path(folder) / "sae", "seed": 0, "save_every": args.steps + 2}
        settings |= {"step": args.batch * processes(), "lr": LEARNING_RATE, "warm_up": WARM_UP}
        trainer = prepare(argparse.Namespace(**vars(args), **settings), rows, model)
        trainer.save = lambda: None
        trainer.fit()
    times = np.diff(rows.began)[1:]
    plain = matmul(args.batch * args.row, model.config.hidden_size, model.dtype, device)
    tokens, flop = args.batch * args.row / float(np.median(times)), flop_a_token(args, model)
    gpu = device.type == "cuda"
    held = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "shape": args.shape,
        "device": torch.cuda.get_device_name() if gpu else "one CPU core",
        "processes": processes(),
        "tokens_per_second": round(tokens * processes(), 1),
        "hours_for_2e9_tokens": round(TOKENS / (tokens * processes()) / 3600, 1),
        "gflop_a_token": round(flop / 1e9, 3),
        "tflops_of_a_process": round(tokens * flop / 1e12, 4),
        "tflops_of_a_matrix_product": round(plain / 1e12, 4),
        "peak_gb_of_a_process": round(held / 1e9, 1),
    }


class Timed(Rows):
    """Rows that note when a step takes its first."""

    def __init__(self, ids: np.ndarray, order: np.ndarray, batch: int, device: torch.device) -> None:
        super().__init__(ids, order)
        self.batch, self.device, self.began = batch, device, []

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        if place % self.batch == 0:
            self.began.append(now(self.device))
        return super().__getitem__(place)


def now(device: torch.device) -> float:
    """Seconds; on a CPU, those of all cores together."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def random_blocks(shape: str, layer: int, row: int, device: torch.device) -> Any:
    from transformers import AutoConfig, AutoModel

    kind, sizes = SHAPES[shape]
    fixed = {"num_hidden_layers": layer + 1, "max_position_embeddings": row, "use_cache": False, "pad_token_id": None}
    config = AutoConfig.for_model(kind, **sizes, **fixed)
    with device:
        return AutoModel.from_config(config, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)


def flop_a_token(args: argparse.Namespace, model: Any) -> float:
    width = model.config.hidden_size
    weights = sum(p.numel() for p in model.layers.parameters())
    attention = 4 * width * (args.row / 2) * (args.layer + 1)
    return 2 * weights + attention + 2 * width * width * args.expansion


def matmul(tokens: int, width: int, dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of one product as a block has them: the best of five."""
    a, b = (torch.randn(shape, dtype=dtype, device=device) for shape in ((tokens, width), (width, 4 * width)))
    took = []
    for _ in range(5):
        start = now(device)
        a @ b
        took.append(now(device) - start)
    return 8 * tokens * width * width / min(took)


if __name__ == "__main__":
    main()
