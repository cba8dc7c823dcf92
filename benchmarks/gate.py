"""What a gate costs: its own arithmetic beside a prefill of a model of Llama-3.1-8B's shape, and a decode step after.

    python benchmarks/gate.py [--device cuda] [--width 4096] [--blocks 32] [--batch 8] [--tokens 256] [--repeats 5]

Weights are random. For each gate:

- own: reading the residuals of the layers it reads, pooling, and handing the scores to the processor, on residuals of
  the prefill's shape, as a share of a prefill without any gate;
- in a prefill: how much longer a prefill takes that is read for the gate, of one that is not.

And a decode step of a batch whose gates stayed shut, of one that has no recipe. What an open gate costs is another
matter: its rows' prompts are read once more. All contenders take turns; figures are medians. The goal is below 1% of a
prefill, and nothing in a decode step. `--width 256` runs in half a minute on a processor, but is no measure: the
narrower a model, the less its blocks do beside what reads them.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from scale import llama, seconds
from transformers import LlamaForCausalLM

from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Direction, Gate, Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.decision import Decision
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.gate_file import GateFile, Sample
from clampdown.steering.gates.parts import Part
from clampdown.steering.gates.reading import Reading

STEPS = 16


def gates(blocks: int, width: int) -> dict[str, list[Part]]:
    """Parts of each gate that is timed."""

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
    }


def compiled(model: ChatModel, parts: list[Part]) -> CompiledGate:
    file = GateFile(0.0, Sample(1.0, (1,)), Sample(-1.0, (1,)), parts=tuple(parts))
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


def in_turns(runs: dict[str, Callable[[], Any]], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each, one after the other so many times, after a rehearsal."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if repeat:
                found[name].append(spent)
    return found


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--blocks", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256, help="of each prompt")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", help="of the model; default float32 on a CPU, bfloat16 on a GPU")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype or ("float32" if options.device == "cpu" else "bfloat16"))

    torch.set_default_dtype(dtype)
    with torch.device(options.device):
        hf = LlamaForCausalLM(llama(options.width, num_hidden_layers=options.blocks)).eval()
    torch.set_default_dtype(torch.float32)
    model = ChatModel("a model of Llama's shape", Path(), hf, None)
    prefill = Prefill(model, options.batch, options.tokens)
    print(
        f"{options.blocks} blocks of width {options.width} in {dtype}, {options.batch} prompts of {options.tokens} "
        f"tokens; {options.device}, torch {torch.__version__}, {torch.get_num_threads()} threads, load "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    ready = {name: compiled(model, parts) for name, parts in gates(options.blocks, options.width).items()}
    runs: dict[str, Callable[[], Any]] = {"plain": prefill.plain}
    for name, gate in ready.items():
        runs[f"own {name}"] = lambda gate=gate: prefill.own(gate)
        runs[f"read {name}"] = lambda gate=gate: prefill.read_for(gate)
    times = {name: statistics.median(spent) for name, spent in in_turns(runs, options.repeats, options.device).items()}
    print(f"{'a prefill':38}{1000 * times['plain']:9.1f} ms")
    print(f"{'':38}{'own':>10}{'in a prefill':>16}")
    for name in ready:
        own, longer = times[f"own {name}"] / times["plain"], times[f"read {name}"] / times["plain"] - 1
        print(f"{name:38}{own:>10.2%}{longer:>+16.2%}")
    steps: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * options.repeats + 2):
        spent = decode_steps(model, prefill, bool(turn % 2))
        if turn > 1:
            steps[bool(turn % 2)] += spent
    none, shut = (statistics.median(steps[which]) for which in (False, True))
    print(f"\na decode step: {1000 * none:.2f} ms; where gates stayed shut {shut / none:.3f} of it")


if __name__ == "__main__":
    main()
