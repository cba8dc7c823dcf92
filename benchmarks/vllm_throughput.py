"""Tokens a second of vLLM, steered beside unsteered, and beside the Transformers engine: all in one process and run.

    python benchmarks/vllm_throughput.py [--batch 1 32 128] [--tokens 32] [--rounds 3] [--by cpu] [--compiled]

The bundled model, one thread, in float32 by default; docs/vllm.md says how to install vLLM. Each contender answers
`batch` prompts of like length with `tokens` tokens each, reading included; contenders take turns within a round, in an
order that moves on. A ratio is the median over rounds of two rates of one round.

- bare: vLLM as it comes, our operators taken out of its layers (not told with --compiled, where they can't be).
- unsteered: with the plug-in, and no recipe.
- one, many: every request under the clamp that comes along, everywhere but at sinks; under 32 clamps that differ.
- gated: under the recipe that comes along with its gate.
- transformers, transformers-one: the Transformers engine, unsteered and under that one clamp.

Where the machine is not idle, `--by cpu` divides by the seconds that the process had a core, in place of all.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from clampdown.engine.engine import Engine
from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.models.chat_model import load_chat_model
from clampdown.plugins.vllm.engine import VllmEngine
from clampdown.recipe import Positions, Recipe
from clampdown.recipe.bundled import GUARDED, REFUSAL, bundled_path
from clampdown.steering.scaling import scaled

MANY = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--by", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--compiled", action="store_true", help="let vLLM compile; else it runs eagerly")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_chat_model(dtype=options.dtype)
    most = max(options.batch)
    # Each prompt is to be read: what vLLM keeps of the round before would spare it.
    vllm = VllmEngine(
        model, most=most, max_model_len=1024, enforce_eager=not options.compiled, enable_prefix_caching=False
    )
    local = LocalEngine(model, most=most)
    clock = time.process_time if options.by == "cpu" else time.perf_counter
    for batch in options.batch:
        found = rounds(contenders(vllm, local, options.compiled), model, batch, options, clock)
        print(json.dumps({"batch": batch} | told(found)), flush=True)


Contender = tuple[Engine, Sequence[Recipe | None], Callable[[], AbstractContextManager[Any]]]


def contenders(vllm: VllmEngine, local: LocalEngine, compiled: bool) -> dict[str, Contender]:
    """Engine, recipes in turn, and what is on meanwhile, by name."""
    clamp = replace(Recipe.load(bundled_path(REFUSAL)), positions=Positions(sink_norm=1381.0))
    many = [replace(clamp, edits=scaled(clamp, 0.5 + step / MANY)) for step in range(MANY)]
    found: dict[str, Contender] = {} if compiled else {"bare": (vllm, [None], lambda: bare(vllm))}
    found |= {
        "unsteered": (vllm, [None], nullcontext),
        "one": (vllm, [clamp], nullcontext),
        "many": (vllm, many, nullcontext),
        "gated": (vllm, [Recipe.load(bundled_path(GUARDED))], nullcontext),
        "transformers": (local, [None], nullcontext),
        "transformers-one": (local, [clamp], nullcontext),
    }
    return found


@contextmanager
def bare(engine: VllmEngine) -> Any:
    """Within, vLLM's layers are its own."""
    model = engine._vllm.model_executor.driver_worker.worker.model_runner.get_model()
    ours = [(block, vars(block).pop("forward")) for block in model.modules() if "forward" in vars(block)]
    try:
        yield
    finally:
        for block, forward in ours:
            vars(block)["forward"] = forward


def rounds(
    found: dict[str, Contender], model: Any, batch: int, options: argparse.Namespace, clock: Callable[[], float]
) -> list[dict[str, float]]:
    """Tokens a second of each contender in each round, after one that is not counted."""
    names, rates = list(found), []
    for turn in range(options.rounds + 1):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        prompts = [model.prompt_ids(f"Name {turn + 2} things that number {place:04} is.") for place in range(batch)]
        rates.append({name: rate(*found[name], prompts, options.tokens, clock) for name in order})
        print(json.dumps({"batch": batch, "round": turn} | rates[-1]), file=sys.stderr, flush=True)
    return rates[1:]


def rate(
    engine: Engine,
    recipes: Sequence[Recipe | None],
    during: Callable[[], AbstractContextManager[Any]],
    prompts: Sequence[Sequence[int]],
    tokens: int,
    clock: Callable[[], float],
) -> float:
    with during():
        begun = clock()
        for place, prompt in enumerate(prompts):
            engine.submit(Request(prompt, recipes[place % len(recipes)], Sampling(tokens), stop_ids=frozenset()))
        while not engine.idle:
            engine.step()
        return len(prompts) * tokens / (clock() - begun)


def told(rates: list[dict[str, float]]) -> dict[str, Any]:
    """Medians: tokens a second, and what part each contender has of vLLM unsteered (and of it bare)."""
    names = sorted(rates[0])
    found: dict[str, Any] = {name: round(statistics.median(rate[name] for rate in rates), 1) for name in names}
    for base in ("bare", "unsteered", "transformers"):
        if base in names:
            of = {name: statistics.median(rate[name] / rate[base] for rate in rates) for name in names if name != base}
            found[f"of {base}"] = {name: round(value, 3) for name, value in of.items()}
    return found


if __name__ == "__main__":
    main()
