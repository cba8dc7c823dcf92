"""What steering adds to a pass of vLLM's: every other one is left unsteered, and neighbours are compared.

    python benchmarks/vllm_passes.py [--batch 1 32 128] [--passes 120] [--prompts 8] [--answer 64] [--compiled]

The bundled model, one thread, in float32 by default; docs/vllm.md says how to install vLLM. Where a machine's speed
drifts by a tenth from one minute to the next, rates of whole runs (`vllm_throughput.py`) can't tell a few percent
apart. Passes that follow each other can: each is as long as the one before but for a token a row.

- decoding: of `--passes` passes of a batch of requests, the even ones skip all that steering does in the runner, the
  others do it; the share is the median over pairs of seconds without by seconds with.
- reading: batches of prompts are read without a recipe and with, in turn, `--prompts` times each.
- answer: both put together, for answers of `--answer` tokens: tokens a second, of unsteered vLLM's.

Under one clamp for all and under 32 that differ, everywhere but at sinks (TopK: where a clamped latent may be on, all
are encoded); under the recipe that comes along, whose gate stays shut on these prompts; and under it forced open.
Under nothing there is nothing to skip: how far that is from 1 is how far to trust the rest. Under plug-in there is no
recipe either, and what is skipped is all of ours, the operators in vLLM's layers too (not with --compiled).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from vllm_throughput import bare, contenders  # sets what vLLM reads from the environment

from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.plugins.vllm.engine import VllmEngine
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import GUARDED, bundled_path

UNDER = ["nothing", "plug-in", "one", "many", "gate shut", "gate open"]

Without = Callable[[VllmEngine], AbstractContextManager[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--under", nargs="+", choices=UNDER, default=UNDER, help="(default: all)")
    for name, number in (("passes", 120), ("prompts", 8), ("answer", 64)):
        parser.add_argument(f"--{name}", type=int, default=number, help=f"(default: {number})")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--compiled", action="store_true", help="let vLLM compile; else it runs eagerly")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_chat_model(dtype=options.dtype)
    engine = VllmEngine(
        model, most=max(options.batch), max_model_len=1024, enforce_eager=not options.compiled,
        enable_prefix_caching=False,
    )  # fmt: skip
    guarded = Recipe.load(bundled_path(GUARDED))
    all_of_them = contenders(engine, LocalEngine(model), options.compiled)
    found = {"nothing": [None], "plug-in": [None]} | {name: all_of_them[name][1] for name in ("one", "many")}
    found |= {"gate shut": [guarded], "gate open": [guarded.deciding("open")]}
    for batch in options.batch:
        for name in options.under:
            told = measured(engine, found[name], batch, options, alone if name == "plug-in" else unsteered)
            print(json.dumps({"batch": batch, "under": name} | told), flush=True)


def measured(
    engine: VllmEngine, recipes: Sequence[Recipe | None], batch: int, options: argparse.Namespace, without: Without
) -> dict[str, Any]:
    model = engine.model
    read: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * options.prompts + 2):  # the first two are a rehearsal
        steered = bool(turn % 2)
        with asked(engine, model, recipes if steered else [None], batch, turn, options.passes) as spent:
            if turn > 1:
                read[steered].append(spent)
    with asked(engine, model, recipes, batch, 0, options.passes):
        steps = decoded(engine, options.passes, without)
    reading, decoding = (
        statistics.median(a / b for a, b in zip(*pairs, strict=True))
        for pairs in ((read[False], read[True]), (steps[False], steps[True]))
    )
    prompts, step = statistics.median(read[False]), statistics.median(steps[False])
    plain = prompts + (options.answer - 1) * step
    return {
        "decoding": round(decoding, 3),
        "reading": round(reading, 3),
        "answer": round(plain / (prompts / reading + (options.answer - 1) * step / decoding), 3),
        "ms a pass": round(1000 * step, 1),
        "ms of ours": round(1000 * (step / decoding - step), 2),
        "ms to read": round(1000 * prompts, 1),
    }


@contextmanager
def asked(
    engine: VllmEngine, model: ChatModel, recipes: Sequence[Recipe | None], batch: int, turn: int, tokens: int
) -> Iterator[float]:
    """Requests whose prompts have been read, and the seconds that took; at the end they are dropped."""
    prompts = [model.prompt_ids(f"Name {turn + 2} things that number {place:04} is.") for place in range(batch)]
    sampling = Sampling(tokens + 8)
    begun = time.perf_counter()
    numbers = [
        engine.submit(Request(prompt, recipes[place % len(recipes)], sampling, stop_ids=frozenset()))
        for place, prompt in enumerate(prompts)
    ]
    said: set[int] = set()
    while len(said) < batch:
        said |= {event.request for event in engine.step()}
    try:
        yield time.perf_counter() - begun
    finally:
        for number in numbers:
            engine.cancel(number)
        engine.step()


def decoded(engine: VllmEngine, passes: int, without: Without) -> dict[bool, list[float]]:
    """Seconds of each pass, by whether ours was done; they take turns."""
    spent: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * (passes // 2)):
        steered = bool(turn % 2)
        with nullcontext() if steered else without(engine):
            begun = time.perf_counter()
            engine.step()
            spent[steered].append(time.perf_counter() - begun)
    return {steered: some[1:] for steered, some in spent.items()}


@contextmanager
def unsteered(engine: VllmEngine) -> Iterator[None]:
    """Within, a pass is the model's call alone."""
    steering = engine._vllm.model_executor.driver_worker.worker.model_runner.clampdown
    steering.run = lambda _runner, call: call()
    try:
        yield
    finally:
        del steering.run


@contextmanager
def alone(engine: VllmEngine) -> Iterator[None]:
    """Within, nothing of ours is left in a pass."""
    with bare(engine), unsteered(engine):
        yield


if __name__ == "__main__":
    main()
