"""What a ten-latent clamp costs beside the 32 blocks of a model of Llama-3.1-8B's shape.

    python benchmarks/scale.py [--device cuda] [--width 4096] [--latents 131072] [--repeats 5]

Weights are random. One real decoder block is timed and counted 32 times; its attention sees one token, so in a longer
context the blocks cost more and every share is smaller. The SAE (written once to a temporary file, 2 GB in bfloat16)
is loaded as a user's would be. Each contender takes its turn after a run of the block, so none finds its weights in a
cache; shares are of medians. A share is what one decode step of the batch (one token a row) costs, steering alone.

- sliced: a jumprelu SAE, the product's arithmetic; "in a model" is all that steering adds to a model without any: the
  hooks, the positions, the receipt and the check that the residual is finite.
- a recipe of its own for each row: the same with as many recipes as rows, each of its own latents; and what a whole
  step so takes, of one under a single recipe.
- topk: on random tokens, as they need it; and with a clamped latent on at every token, so that each needs the full
  encode: with the encoder as stored, made float32 in tiles, and kept in the model's dtype (on a CPU: twice the memory).
- SAELens: its own SAE with `use_error_term=True` and a hook on the activations. Its weights are kept in the model's
  dtype, encoder and decoder sharing memory.
- lm-eval: the `clamp` of its `steered` model, which takes one latent a layer, called once for each latent.

On a GPU it also runs a decode step of the whole model end to end, steered and unsteered in turns. `OMP_NUM_THREADS`
sets the threads. Full size needs about 6 GB of memory on a CPU; `--width 256 --latents 4096` runs in seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Recipe
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering
from clampdown.steering.edits import DeltaClamp

BLOCKS, LAYER, K = 32, 12, 64
STEPS = 8


def llama(width: int, **changes: Any) -> LlamaConfig:
    """Llama-3.1-8B's configuration at width 4096, and its proportions at others."""
    heads = max(4, width // 128)
    shape = {"hidden_size": width, "intermediate_size": width * 7 // 2, "num_attention_heads": heads}
    rest = {"num_key_value_heads": heads // 4, "num_hidden_layers": BLOCKS, "vocab_size": 128_256}
    return LlamaConfig(**(shape | rest | {"tie_word_embeddings": False, "attn_implementation": "sdpa"} | changes))


def write_sae(path: Path, width: int, latents: int, dtype: torch.dtype) -> None:
    """A random jumprelu SAE in Clampdown's format, written in slices so that it is never in memory whole."""
    draw = torch.Generator().manual_seed(0)
    n, d = latents, width
    vectors = {"b_enc": torch.zeros(n), "b_dec": 0.1 * torch.randn(d, generator=draw), "threshold": torch.full((n,), 2)}
    shapes = {"w_enc": (n, d), "w_dec": (n, d)} | {name: tuple(vector.shape) for name, vector in vectors.items()}
    facts = {"kind": "jumprelu", "layer": LAYER, "k": None}
    header: dict[str, Any] = {"__metadata__": {"format": "clampdown-sae-1", "sae": json.dumps(facts)}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + torch.Size(shape).numel() * dtype.itemsize
        code = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}[dtype]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write((len(text) + -len(text) % 8).to_bytes(8, "little") + text.ljust(len(text) + -len(text) % 8))
        for name, shape in shapes.items():
            for at in range(0, shape[0], 4096):
                part = vectors[name][at : at + 4096] if name in vectors else None
                if part is None:
                    part = torch.randn(min(4096, n - at), d, generator=draw) / d**0.5
                part.to(dtype).view(torch.uint8).numpy().tofile(file)


_LOADING = """
import sys, torch
from clampdown.saes.load import load_sae
from clampdown.steering.edits import DeltaClamp

def status(word):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(word))

before = status("VmRSS")
sae = load_sae(sys.argv[1])
if sys.argv[2] == "sliced":
    DeltaClamp(sae, 12, {latent * (sae.n_latents // 10): 1.0 for latent in range(10)})
else:
    sae.to("cpu", torch.float32)
print(status("VmHWM") - before)
"""


def loading_memory(path: Path, how: str) -> float | None:
    """Bytes that loading adds to a fresh process at its peak, pages of the file included; None where it can't tell."""
    if not Path("/proc/self/status").exists():
        return None
    done = subprocess.run([sys.executable, "-c", _LOADING, path, how], capture_output=True, text=True, check=True)
    return float(done.stdout)


def block_run(options: argparse.Namespace, batch: int) -> tuple[Callable[[], Any], int]:
    """A decode step of one block on `batch` rows, and the bytes of its weights."""
    config = llama(options.width)
    with torch.device(options.device):
        block = LlamaDecoderLayer(config, 0).to(options.model_dtype).eval()
        x = torch.randn(batch, 1, options.width, dtype=options.model_dtype)
        rotary = LlamaRotaryEmbedding(config)(x, torch.zeros(batch, 1, dtype=torch.long))
    size = sum(weight.numel() * weight.element_size() for weight in block.parameters())
    return lambda: block(x, position_embeddings=rotary), size


def sae_lens_run(rows: Tensor, x: Tensor, latents: Tensor) -> Callable[[], Any] | None:
    try:
        from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    except ImportError:
        return None
    n, d = rows.shape
    theirs = JumpReLUSAE(JumpReLUSAEConfig(d_in=d, d_sae=n, device="meta"))
    parts = {"W_dec": rows, "W_enc": rows.T, "b_enc": rows.new_zeros(n), "b_dec": rows.new_zeros(d)}
    for name, tensor in (parts | {"threshold": rows.new_full((n,), 2.0)}).items():
        setattr(theirs, name, nn.Parameter(tensor, requires_grad=False))
    theirs.dtype, theirs.use_error_term = rows.dtype, True

    def clamp(z: Tensor, hook: Any) -> Tensor:
        z[..., latents] = 2.0
        return z

    theirs.hook_sae_acts_post.add_hook(clamp)
    return lambda: theirs(x)


def lm_eval_run(sae: SAE, x: Tensor, latents: Tensor) -> Callable[[], Any] | None:
    try:
        from lm_eval.models.hf_steered import SteeredModel
    except ImportError:
        return None
    few = sae.only(latents.tolist()).to(x.device, x.dtype)
    units = few.w_dec / few.w_dec.norm(dim=-1, keepdim=True)

    def run() -> Tensor:
        y = x
        for unit in units:
            y = SteeredModel.clamp(y, direction=unit, value=2.0, head_index=None, bias=few.b_dec)
        return y

    return run


def contenders(options: argparse.Namespace, sae: SAE, batch: int) -> dict[str, tuple[Callable[[], Any] | None, float]]:
    """What to time, and the bytes of weights that each reads in a step."""
    chosen = [i * (sae.n_latents // options.clamped) for i in range(options.clamped)]
    latents, device = torch.tensor(chosen, device=options.device), torch.device(options.device)
    tokens = cycle(torch.randn(16, batch, sae.d_model, device=device))
    as_model = next(tokens)[:, None].to(options.model_dtype)
    rows = sae.w_enc.to(device, options.model_dtype)
    values = dict.fromkeys(chosen, 2.0)
    always = sae.b_enc.clone()
    always[chosen] = 1000.0
    topk = replace(sae, kind="topk", k=K, threshold=None)
    hard = replace(topk, b_enc=always)

    def ours(which: SAE) -> Callable[[], Any]:
        clamp = DeltaClamp(which, LAYER, values, device)
        return lambda: clamp.delta(next(tokens))

    slice_size = 2 * len(chosen) * sae.d_model * 4
    matrix = sae.w_enc.numel()
    stored, models = sae.w_enc.element_size(), rows.element_size()
    return {
        "sliced": (ours(sae), slice_size),
        "topk, as tokens need it": (ours(topk), float("nan")),
        "topk, full, as stored": (ours(hard), matrix * stored + slice_size),
        "topk, full, model's dtype": (ours(replace(hard, w_enc=rows)), matrix * models + slice_size),
        "SAELens use_error_term": (sae_lens_run(rows, as_model, latents), 4 * matrix * models),
        "lm-eval steered, ten times": (lm_eval_run(sae, as_model, latents), slice_size / 4 * models),
    }


def seconds(run: Callable[[], Any], device: str) -> float:
    synchronise = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    synchronise()
    start = time.perf_counter()
    run()
    synchronise()
    return time.perf_counter() - start


def decode_steps(
    options: argparse.Namespace, sae: SAE, config: LlamaConfig, layer: int, batch: int
) -> list[tuple[float, int]]:
    """A decode step of a whole model in turns: by itself, under one recipe, and under one of its own in each row.

    Gives the median of seconds, and peak bytes on a GPU. Each recipe clamps latents of its own.
    """
    torch.set_default_dtype(options.model_dtype)
    with torch.device(options.device):
        hf = LlamaForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    model = ChatModel("a model of Llama's shape", Path(), hf, None)
    there = replace(sae, layer=layer)
    stride = sae.n_latents // options.clamped
    recipes = []
    for row in range(batch):
        values = {(i * stride + row) % sae.n_latents: 2.0 + row / 100 for i in range(options.clamped)}
        recipes.append(Recipe(f"clamp {row}", model.name, "", (Clamp(there.name, "", layer, values),)))
    ids = torch.zeros(batch, 8 + STEPS, dtype=torch.long, device=options.device)
    ways = [None, recipes[:1] * batch, recipes]

    def run(way: list[Recipe] | None) -> list[float]:
        spent = []
        with Steering(model, way, saes=[there]) if way else nullcontext():
            cache = hf(input_ids=ids[:, :8], use_cache=True).past_key_values
            for step in range(8, 8 + STEPS):
                call = {"input_ids": ids[:, :1], "attention_mask": torch.ones_like(ids[:, : step + 1])}
                spent.append(seconds(lambda call=call: hf(**call, past_key_values=cache), options.device))
        return spent[1:]

    for way in ways:
        run(way)
    peak = [0] * len(ways)
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(2 * len(ways) * options.repeats):
        at = turn % len(ways)
        if options.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        times[at] += run(ways[at])
        if options.device == "cuda":
            peak[at] = torch.cuda.max_memory_allocated()
    return [(statistics.median(spent), most) for spent, most in zip(times, peak, strict=True)]


@torch.inference_mode()
def measure(options: argparse.Namespace, sae: SAE, batch: int) -> dict[str, tuple[float, float] | None]:
    """Share of the blocks and bytes a token for each contender; for the blocks themselves, seconds."""
    block, size = block_run(options, batch)
    others = contenders(options, sae, batch)
    times: dict[str, list[float]] = {name: [] for name in ("block", *others)}
    for repeat in range(options.repeats + 1):
        for name, (run, _) in others.items():
            spent = seconds(block, options.device)
            if run is None:
                continue
            own = seconds(run, options.device)
            if repeat:  # the first is a rehearsal
                times["block"].append(spent)
                times[name].append(own)
    whole = BLOCKS * statistics.median(times["block"])
    found: dict[str, tuple[float, float] | None] = {"32 blocks": (whole, BLOCKS * size / batch)}
    for name, (run, read) in others.items():
        found[name] = (statistics.median(times[name]) / whole, read / batch) if run else None
    # Steering adds hooks to a model: what they cost is seen where the model itself costs next to nothing.
    hollow = llama(options.width, num_hidden_layers=1, vocab_size=8, intermediate_size=8, head_dim=2)
    (plain, _), (steered, _), (mixed, _) = decode_steps(options, sae, hollow, 0, batch)
    read = found["sliced"][1] if found["sliced"] else 0.0
    found["sliced, in a model"] = (steered - plain) / whole, read
    found["a recipe of its own for each row"] = (mixed - plain) / whole, read
    found["a step so, of one with one recipe"] = (whole + mixed - plain) / (whole + steered - plain), float("nan")
    return found


def readable(size: float | None) -> str:
    if size is None or size != size:
        return "–"
    unit = next(u for u in (1e9, 1e6, 1e3) if size >= u or u == 1e3)
    return f"{size / unit:.3g} {({1e9: 'GB', 1e6: 'MB', 1e3: 'kB'})[unit]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--latents", type=int, default=131_072)
    parser.add_argument("--clamped", type=int, default=10)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", default="bfloat16", help="of the SAE's file")
    parser.add_argument("--model-dtype", help="of the model; default float32 on a CPU, bfloat16 on a GPU")
    options = parser.parse_args()
    usual = "float32" if options.device == "cpu" else "bfloat16"
    options.model_dtype, dtype = getattr(torch, options.model_dtype or usual), getattr(torch, options.dtype)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sae.safetensors"
        write_sae(path, options.width, options.latents, dtype)
        print(
            f"{BLOCKS} blocks of width {options.width} in {options.model_dtype}, SAE of {options.latents} latents in "
            f"{dtype} ({readable(path.stat().st_size)}), {options.clamped} clamped; {options.device}, torch "
            f"{torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n"
        )
        for how, words in (("sliced", "loaded, ten latents taken"), ("full", "loaded, every value as float32")):
            print(f"peak memory, {words}: {readable(loading_memory(path, how))}")
        sae = load_sae(str(path))
        results = {batch: measure(options, sae, batch) for batch in options.batches}
        print(f"\n{'':34}" + "".join(f"{f'batch {batch}':>12}{'read a token':>14}" for batch in results))
        for name in results[options.batches[0]]:
            cells = [results[batch][name] for batch in results]
            form = "{:>9.1f} ms".format if name == "32 blocks" else "{:>12.3%}".format
            scale = 1000 if name == "32 blocks" else 1
            told = [f"{form(c[0] * scale)}{readable(c[1]):>14}" if c else f"{'not installed':>26}" for c in cells]
            print(f"{name:34}" + "".join(told))
        if options.device == "cuda":
            end_to_end(options, sae)


@torch.inference_mode()
def end_to_end(options: argparse.Namespace, sae: SAE) -> None:
    always = sae.b_enc.clone()
    always[0] = 1000.0
    topk = replace(sae, kind="topk", k=K, threshold=None, b_enc=always)
    for batch in options.batches:
        for words, which in (("sliced", sae), ("topk, full", topk)):
            (plain, before), (steered, after), (mixed, _) = decode_steps(
                options, which, llama(options.width), LAYER, batch
            )
            print(
                f"end to end, batch {batch}, {words}: {steered / plain:.3f}× of {1000 * plain:.1f} ms a step, with "
                f"{batch} recipes {mixed / steered:.3f}× of that; peak memory {readable(before)}, steered "
                f"{readable(after)}"
            )


if __name__ == "__main__":
    main()
