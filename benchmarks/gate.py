"""What a gate costs: its own arithmetic beside a prefill of a model of Llama-3.1-8B's shape, and a decode step after.

    python benchmarks/gate.py [--device cuda] [--width 4096] [--blocks 4] [--of 32] [--batch 1] [--tokens 256]

Weights are random. For each gate:

- own: reading the residuals of the layers it reads, pooling, and handing the scores to the processor, on residuals of
  the prefill's shape, as a share of a prefill without any gate;
- in a prefill: how much longer a prefill takes that is read for the gate, of one that is not.

And a decode step of a batch whose gates stayed shut, of one that has no recipe. What an open gate costs is another
matter: its rows' prompts are read once more. All contenders take turns; figures are medians. The goal is below 1% of a
prefill, and nothing in a decode step.

On a processor the whole model in float32 takes 32 GB and hours, so `--blocks` of the `--of` are made, and the rest is
worked out: what a model does without any block is timed too, every block takes as long as every other, and a gate on
all blocks does at each what it did at these. On a GPU all are made, and nothing is worked out. With one thread
(`OMP_NUM_THREADS=1`) the seconds are the processor's own, which a busy machine disturbs less. Four blocks of full width
take about 9 GB; `--width 256` runs in half a minute, but is no measure: the narrower a model, the less its blocks do
beside what reads them.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scale import BLOCKS, llama
from scale import seconds as by_the_clock
from transformers import LlamaForCausalLM

from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Direction, Gate, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.steering.attach import Steering
from clampdown.steering.decision import Decision
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.gate_file import GateFile, Sample, read_gate
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part
from clampdown.steering.gates.reading import Reading

STEPS = 16


def gates(blocks: int, width: int) -> dict[str, list[Part]]:
    """Parts of each gate that is timed."""

    shipped = Recipe.load(bundled_path("guarded")).gate
    assert shipped is not None

    def part(layer: int, features: int = 1, **how: Any) -> Part:
        vectors = {"w": torch.randn(features, width) / width**0.5, "b": torch.zeros(features)}
        return Part(layer, torch.ones(features), **vectors, **how)

    middle, every = blocks // 2, range(blocks)
    return {
        "one block, last token": [part(middle)],
        "one block, mean over the request": [part(middle, pool="mean")],
        "one block, windows of 16, maximum": [part(middle, pool="max", window=16)],
        "one block, 64 features, mean": [part(middle, 64, pool="mean")],
        "all blocks, last token": [part(layer) for layer in every],
        "all blocks, mean over the request": [part(layer, pool="mean") for layer in every],
        "hidden layers, as the shipped gate's": [widened(one, blocks, width) for one in read_gate(shipped).parts],
    }


def widened(part: Part, blocks: int, width: int) -> Part:
    """A part for residuals of this width, after one of these blocks, that does as much for each."""
    units = 0 if part.w is None else len(part.w)
    return replace(part, layer=part.layer % blocks, w=torch.randn(units, width) / width**0.5)


def layer(parts: list[Part], of_windows: bool) -> Hidden | None:
    """The hidden layer that the parts feed."""
    units = next(
        (len(part.w) for part in parts if part.feeds and part.of_windows == of_windows and part.w is not None), 0
    )
    return Hidden(torch.zeros(units), torch.ones(units)) if units else None


def compiled(model: ChatModel, parts: list[Part]) -> CompiledGate:
    hidden, windows = layer(parts, False), layer(parts, True)
    file = GateFile(0.0, Sample(1.0, (1,)), Sample(-1.0, (1,)), parts=tuple(parts), hidden=hidden, windows=windows)
    return CompiledGate(file, 0.0, tuple(CompiledPart(part, model) for part in parts))


class Prefill:
    """A batch of prompts of one length, of which all but a template's few tokens are the request."""

    def __init__(self, model: ChatModel, batch: int, tokens: int) -> None:
        draw = torch.Generator().manual_seed(0)
        ids = torch.randint(0, 1000, (batch, tokens), generator=draw)
        self.model, self.ids = model, ids.to(model.device)
        self.prompts = [Prompt(row, [(4, tokens - 5)]) for row in ids.tolist()]
        self.x = torch.randn(batch, tokens, model.d_model, dtype=model.dtype, device=model.device)

    def plain(self) -> Any:
        return self.model.hf(input_ids=self.ids, use_cache=True, logits_to_keep=1)

    def without_blocks(self, tokens: int | None = None) -> Any:
        """What is left of a prefill, or of so many of its tokens: embeddings, and the head at the last token."""
        decoder, blocks = self.model.hf.model, self.model.hf.model.layers
        decoder.layers = torch.nn.ModuleList()
        try:
            return self.model.hf(input_ids=self.ids[:, :tokens], use_cache=False, logits_to_keep=1)
        finally:
            decoder.layers = blocks

    def read_for(self, gate: CompiledGate) -> list[float]:
        """The same, read for a gate: its scores."""
        reading = Reading(self.model, gate, self.prompts, range(len(self.prompts)), 0)
        with self.model.unsteered(), reading.rest():
            self.plain()
        return reading.scores()

    def own(self, gate: CompiledGate) -> list[float]:
        """What the gate alone does, on the same residual for every layer."""
        reading = Reading(self.model, gate, self.prompts, range(len(self.prompts)), 0)
        blocks = self.model.hf.model.layers
        with self.model.unsteered(), reading.rest():
            for layer in gate.file.layers:
                for hook in list(blocks[layer]._forward_hooks.values()):
                    hook(blocks[layer], (), self.x)
        return reading.scores()


def decode_steps(model: ChatModel, prefill: Prefill, shut: bool) -> list[float]:
    """Seconds of each decode step, of rows without a recipe or of rows whose gate is shut."""
    recipe = Recipe("r", model.name, "", (Direction(0, 1.0, seed=0),), gate=Gate(external="anyone"))
    batch, tokens = prefill.ids.shape
    steering = Steering(model, [None] * batch)
    if shut:
        steering.decide([Decision(recipe, open=False)] * batch)
    spent = []
    with steering:
        cache = prefill.plain().past_key_values
        for step in range(1, STEPS + 1):
            mask = torch.ones(batch, tokens + step, dtype=torch.long, device=model.device)
            call = {"input_ids": prefill.ids[:, :1], "attention_mask": mask, "past_key_values": cache}
            spent.append(seconds(lambda call=call: model.hf(**call), model.device.type))
    return spent[1:]


def seconds(run: Callable[[], Any], device: str) -> float:
    if device != "cpu" or torch.get_num_threads() > 1:
        return by_the_clock(run, device)
    start = time.process_time()
    run()
    return time.process_time() - start


def in_turns(runs: dict[str, Callable[[], Any]], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each, one after the other so many times, after a rehearsal."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if repeat:
                found[name].append(spent)
    return found


class Whole:
    """From seconds measured on some blocks to those of a model that has more of them."""

    def __init__(self, some: int, every: int, rest: float) -> None:
        self.some, self.every, self.rest = some, every, rest

    def model(self, spent: float) -> float:
        """All blocks once, and what a model does beside them."""
        return self.rest + (spent - self.rest) * self.every / self.some

    def gate(self, spent: float, parts: int) -> float:
        """What a gate does, with as many parts as blocks were made or fewer: a part a block, or the same anywhere."""
        return spent * self.every / self.some if parts == self.some else spent


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--blocks", type=int, help="that are made (default: 4 on a CPU, all on a GPU)")
    parser.add_argument("--of", type=int, default=BLOCKS, help=f"that the model has (default: {BLOCKS})")
    parser.add_argument("--batch", type=int, help="(default: 1 on a CPU, 8 on a GPU)")
    parser.add_argument("--tokens", type=int, default=256, help="of each prompt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", help="of the model; default float32 on a CPU, bfloat16 on a GPU")
    options = parser.parse_args()
    on_cpu = options.device == "cpu"
    options.blocks = options.blocks or (min(4, options.of) if on_cpu else options.of)
    options.batch = options.batch or (1 if on_cpu else 8)
    if not 1 < options.blocks <= options.of:
        parser.error(f"--blocks must be from 2 to {options.of}, the model's own")
    dtype = getattr(torch, options.dtype or ("float32" if on_cpu else "bfloat16"))
    model = made(options, dtype)
    prefill = Prefill(model, options.batch, options.tokens)
    more = "" if options.blocks == options.of else f", of which {options.blocks} are made and the rest worked out"
    print(
        f"{options.of} blocks of width {options.width} in {dtype}{more}; {options.batch} prompts of "
        f"{options.tokens} tokens; {options.device}, torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}\n"
    )
    ready = {name: compiled(model, parts) for name, parts in gates(options.blocks, options.width).items()}
    runs: dict[str, Callable[[], Any]] = {"plain": prefill.plain, "rest": prefill.without_blocks}
    for name, gate in ready.items():
        runs[f"own {name}"] = lambda gate=gate: prefill.own(gate)
        runs[f"read {name}"] = lambda gate=gate: prefill.read_for(gate)
    times = {name: statistics.median(spent) for name, spent in in_turns(runs, options.repeats, options.device).items()}
    whole = Whole(options.blocks, options.of, times["rest"])
    print(f"{'a prefill':38}{1000 * whole.model(times['plain']):9.1f} ms")
    print(f"{'':38}{'own':>10}{'in a prefill':>16}")
    for name, gate in ready.items():
        own, longer = times[f"own {name}"], times[f"read {name}"] - times["plain"]
        shares = (whole.gate(spent, len(gate.parts)) / whole.model(times["plain"]) for spent in (own, longer))
        print("{:38}{:>10.3%}{:>+16.2%}".format(name, *shares), flush=True)
    told_steps(model, prefill, options)


def made(options: argparse.Namespace, dtype: torch.dtype) -> ChatModel:
    """A model of this shape with random weights."""
    torch.set_default_dtype(dtype)
    with torch.device(options.device):
        hf = LlamaForCausalLM(llama(options.width, num_hidden_layers=options.blocks)).eval()
    torch.set_default_dtype(torch.float32)
    return ChatModel("a model of Llama's shape", Path(), hf, None)


def told_steps(model: ChatModel, prefill: Prefill, options: argparse.Namespace) -> None:
    """Print a decode step, and what a shut gate adds to one: a hook at one block, whatever their number."""
    steps: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * options.repeats + 2):
        spent = decode_steps(model, prefill, bool(turn % 2))
        if turn > 1:
            steps[bool(turn % 2)] += spent
    none, shut = (statistics.median(steps[which]) for which in (False, True))
    alone = [seconds(lambda: prefill.without_blocks(1), options.device) for _ in range(STEPS)]
    step = Whole(options.blocks, options.of, statistics.median(alone[1:])).model(none)
    told = f"measured on {options.blocks} blocks: {1000 * none:.2f} and {1000 * shut:.2f} ms"
    print(
        f"\na decode step: {1000 * step:.2f} ms; where gates stayed shut {1 + (shut - none) / step:.4f} of it ({told})"
    )


if __name__ == "__main__":
    main()
