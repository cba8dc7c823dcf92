"""What steering takes from the engine under the server: engines of one model step in turn, and are compared.

    python benchmarks/engine_steps.py [--rows 32] [--rounds 6] [--tokens 40] [--dtype float32]

The bundled model, one thread. Four engines stand side by side, each with `--rows` requests as the server gets them:
without a recipe, under the one that comes along, under 32 that differ, and under the gated one. A round begins with
their prompts, the same for all, and lasts until all are answered; meanwhile the engines step in turn, and the seconds
of each are its own. So what slows the machine for a second slows all four, where rates of whole runs (`serving.py`)
differ by a tenth from one minute to the next. The rest of a server's work, HTTP, rendering and receipts, is not in it.

Prints tokens a second of the median round, and how many of the other's: the median over rounds, and each.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import GUARDED, REFUSAL, bundled_path
from clampdown.steering.scaling import scaled

MANY = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("rows", 32), ("rounds", 6), ("tokens", 40)):
        parser.add_argument(f"--{name}", type=int, default=number, help=f"(default: {number})")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_chat_model(dtype=options.dtype)
    base = Recipe.load(bundled_path(REFUSAL))
    recipes: dict[str, Sequence[Recipe | None]] = {
        "unsteered": [None],
        "one recipe": [base],
        "32 recipes": [replace(base, edits=scaled(base, 0.7 + 0.02 * number)) for number in range(MANY)],
        "guarded": [Recipe.load(bundled_path(GUARDED))],
    }
    engines = {name: LocalEngine(model, most=options.rows, keep=True) for name in recipes}
    questions = [item.text for kind in ("safe", "unsafe") for item in builtin_set(kind).items]
    rates: list[dict[str, float]] = []
    for number in range(options.rounds + 1):  # the first is a rehearsal
        at = number * options.rows
        prompts = [model.prompt_ids(questions[(at + row) * 7 % len(questions)]) for row in range(options.rows)]
        spent = one_round(model, engines, recipes, prompts, options.tokens, number)
        if number:
            rates.append({name: options.rows * options.tokens / seconds for name, seconds in spent.items()})
    print(json.dumps(told(rates), indent=1))


def one_round(
    model: ChatModel,
    engines: dict[str, LocalEngine],
    recipes: dict[str, Sequence[Recipe | None]],
    prompts: Sequence[Sequence[int]],
    tokens: int,
    number: int,
) -> dict[str, float]:
    """Seconds that each engine took to answer the prompts; who goes first moves on."""
    spent = dict.fromkeys(engines, 0.0)
    names = list(engines)
    names = names[number % len(names) :] + names[: number % len(names)]
    for name in names:
        begun = time.perf_counter()
        for row, prompt in enumerate(prompts):
            recipe = recipes[name][row % len(recipes[name])]
            engines[name].submit(Request(prompt, recipe, Sampling(tokens), stop_ids=frozenset()))
        spent[name] += time.perf_counter() - begun
    while not all(engine.idle for engine in engines.values()):
        for name in names:
            if not engines[name].idle:
                begun = time.perf_counter()
                engines[name].step()
                spent[name] += time.perf_counter() - begun
    return spent


def told(rates: list[dict[str, float]]) -> dict[str, object]:
    found: dict[str, object] = {name: round(statistics.median(rate[name] for rate in rates), 1) for name in rates[0]}
    for one, other in (("one recipe", "unsteered"), ("32 recipes", "one recipe"), ("guarded", "unsteered")):
        each = [rate[one] / rate[other] for rate in rates]
        found[f"{one} / {other}"] = {
            "median": round(statistics.median(each), 3),
            "each round": [round(share, 3) for share in each],
        }
    return found


if __name__ == "__main__":
    main()
