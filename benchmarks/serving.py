"""What the server gives: speed, waiting, memory; steered beside unsteered, and beside Transformers' own ways to answer.

    python benchmarks/serving.py [--part ready endurance ...] [--seconds 600] [--round 60] [--rounds 3] [--json FILE]

The bundled model; everything is served by processes of their own, pinned to core `--core` with one thread each, and
asked by small clients on the others. Contenders take turns within each round, in an order that moves on, at the same
requests; a ratio is the median over rounds of two rates of one round. A rate counts what was said within `--round`
seconds, while all clients ask one request after another, and have done so for `--warm` seconds.

- ready: how long the server takes until it answers, and the memory that it holds then.
- endurance: many clients (`--clients`), all recipes mixed, of all kinds of requests, some of which leave half-way, for
  `--seconds`: errors, tokens a second, the wait for a first text, and memory from start to end.
- steering: unsteered, one recipe, 32 different ones in one batch, and the gated recipe that comes along.
- generate: the server beside Transformers' plain `generate`, which answers the same one at a time.
- transformers-serve: the server beside `transformers serve` (`--transformers`, by default the one beside this Python,
  and with its batching on), for many clients and for one.

Where the machine is not idle, `--by cpu` divides by the seconds that the contender had a core, in place of all.
`--json` keeps each part's figures, beside what the file holds of others.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from serving_asked import Said, ask_one, asked, asked_of_all_kinds, counted, keep_asking
from serving_contenders import Plain, Served, ours, theirs

from clampdown.recipe import Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.steering.scaling import scaled

NAME = "smollm2-135m-instruct"
MANY = 32
Rate = Callable[[], Coroutine[Any, Any, float]]
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    for name, number in (("seconds", 600), ("round", 60), ("warm", 20), ("rounds", 3), ("clients", 64), ("starts", 3)):
        parser.add_argument(f"--{name}", type=int, default=number, help=f"(default: {number})")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="(default: the last)")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--transformers", default=str(Path(sys.executable).with_name("transformers")), metavar="PATH")
    parser.add_argument("--by", choices=("wall", "cpu"), default="wall", help="(default: wall)")
    parser.add_argument("--json", type=Path, help="keep the figures here as well")
    options = parser.parse_args()
    if others := os.sched_getaffinity(0) - {options.core}:
        os.sched_setaffinity(0, others)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of what ends the servers
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        names = written(options.folder)
        for part in options.part:
            print(f"\n{part} ({os.getloadavg()[0]:.1f} programs running)", flush=True)
            found = asyncio.run(PARTS[part](options, names))
            for name, figure in found.items():
                print(f"  {name}: {figure if not isinstance(figure, float) else f'{figure:.3g}'}", flush=True)
            if options.json:
                kept = json.loads(options.json.read_text()) if options.json.exists() else {}
                options.json.write_text(json.dumps(kept | {part: found}, indent=1) + "\n")


def written(folder: Path) -> list[str]:
    """Write 32 recipes of different strengths; the names of the model under them."""
    base = Recipe.load(bundled_path(REFUSAL))
    for number in range(MANY):
        edits = scaled(base, 0.7 + 0.02 * number)
        replace(base, name=f"r{number}", edits=edits).save(folder / f"r{number}.toml")
    return [f"{NAME}:r{number}" for number in range(MANY)]


async def ready(options: Any, _names: list[str]) -> Found:
    seconds, held = [], []
    for _ in range(options.starts):
        with ours(options) as server:
            seconds.append(server.ready)
            held.append(server.memory)
    return {"seconds until ready": statistics.median(seconds), "memory, MB": statistics.median(held), "all": seconds}


async def endurance(options: Any, names: list[str]) -> Found:
    models = [NAME, *(f"{NAME}:{name}" for name in ("guarded", "guarded-clamp", "refusal")), *names]
    held: list[tuple[float, float]] = []
    with ours(options, recipes=True) as server:
        begun = server.memory

        async def watched() -> None:
            while True:
                held.append((server.now(), server.memory))
                await asyncio.sleep(0.5)

        watching = asyncio.ensure_future(watched())
        said = await keep_asking(server, options.clients, options.seconds, asked_of_all_kinds(models))
        watching.cancel()
        await asyncio.sleep(1)
        over = server.memory
    warm = held[0][0] + options.seconds / 5
    early = [memory for at, memory in held if warm <= at < warm + options.seconds / 10]
    late = [memory for at, memory in held if at >= held[-1][0] - options.seconds / 10]
    whole = [one for one in said if not one.left and not one.error]
    waits = sorted(one.first for one in whole if one.first)
    return {
        "requests": len(said),
        "left half-way": sum(one.left for one in said),
        "errors": sorted({one.error for one in said if one.error}),
        "tokens a second": counted(said) / options.seconds,
        "first text after, p50, s": waits[len(waits) // 2],
        "first text after, p99, s": waits[int(len(waits) * 0.99)],
        "memory at the start, MB": begun,
        "memory once warm, MB": statistics.median(early),
        "memory at the end, MB": statistics.median(late),
        "memory afterwards, MB": over,
        "growth": statistics.median(late) / statistics.median(early),
    }


async def steering(options: Any, names: list[str]) -> Found:
    with ours(options, recipes=True) as server:
        rates = await in_turns(
            options,
            {
                "unsteered": rate(server, [NAME], options),
                "one recipe": rate(server, [f"{NAME}:{REFUSAL}"], options),
                "32 recipes": rate(server, names, options),
                "guarded": rate(server, [f"{NAME}:guarded"], options),
            },
        )
    return told(rates, ("one recipe", "unsteered"), ("32 recipes", "one recipe"), ("guarded", "unsteered"))


async def generate(options: Any, _names: list[str]) -> Found:
    with ours(options) as server, Plain(options) as plain:

        async def plainly() -> float:
            return await asyncio.to_thread(plain.rate, options.round, options.by)

        rates = await in_turns(options, {"served": rate(server, [NAME], options), "generate": plainly})
    return told(rates, ("served", "generate"))


async def transformers_serve(options: Any, _names: list[str]) -> Found:
    found: Found = {}
    with Plain(options) as plain:
        plain.save(options.folder / "model")
    for how in ([], ["--continuous-batching"]):
        with ours(options) as server, theirs(options, options.folder / "model", how) as other:
            model = str(options.folder / "model")
            if error := (await ask_one(other, next(asked([model])))).error:
                found[" ".join(["transformers serve", *how])] = f"does not answer: {error}"
                continue
            for clients in (MANY, 1):
                called = " ".join([*how, f"{clients} clients"])
                rates = await in_turns(
                    options,
                    {
                        f"clampdown, {called}": rate(server, [NAME], options, clients),
                        f"transformers, {called}": rate(other, [model], options, clients),
                    },
                )
                found |= told(rates, (f"clampdown, {called}", f"transformers, {called}"))
            found[f"memory, {' '.join(how)}, MB"] = {"clampdown": server.memory, "transformers": other.memory}
    return found


def rate(server: Served, models: list[str], options: Any, clients: int = MANY) -> Rate:
    """Tokens a second that a server says to many clients."""

    async def measured() -> float:
        had = asyncio.ensure_future(worked(server, options))
        said: list[Said] = await keep_asking(server, clients, options.round, asked(models), options.warm)
        if errors := {one.error for one in said if one.error}:
            raise SystemExit(f"{models[0]} was not answered: {', '.join(errors)}")
        return counted(said) / await had

    return measured


async def worked(server: Served, options: Any) -> float:
    """The seconds of a round; by cpu, those that the server had a core."""
    await asyncio.sleep(options.warm)
    before = server.cpu
    await asyncio.sleep(options.round)
    return float(options.round) if options.by == "wall" else server.cpu - before


async def in_turns(options: Any, contenders: dict[str, Rate]) -> dict[str, list[float]]:
    """Each one's rates, round by round."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(options.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(await contenders[name]())
    return found


def told(rates: dict[str, list[float]], *pairs: tuple[str, str]) -> Found:
    """Rates in the middle, and how each pair's first one does beside its second."""
    found: Found = {f"{name}, tokens a second": statistics.median(some) for name, some in rates.items()}
    for one, other in pairs:
        each = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
        found[f"{one} / {other}"] = statistics.median(each)
        found[f"{one} / {other}, each round"] = [round(share, 3) for share in each]
    return found


PARTS: dict[str, Callable[[Any, list[str]], Coroutine[Any, Any, Found]]] = {
    "ready": ready,
    "endurance": endurance,
    "steering": steering,
    "generate": generate,
    "transformers-serve": transformers_serve,
}


if __name__ == "__main__":
    main()
