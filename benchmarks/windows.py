"""Recipes side by side on the reporting half of the built-in sets: refusals that do not loop, and what they cost.

    python benchmarks/windows.py RECIPE ... [--tokens 64] [--limit 80] [--out ANSWERS.jsonl] [--json FIGURES.json]

The first arm is the unsteered model. Unsafe requests and questions are all asked, of ordinary requests and look-alikes
`--limit` are drawn by seed. Intervals are 95%, by cluster. Babble is told from the words alone. A passage counts as
answer after its first token.
"""

import argparse
import json
from pathlib import Path
from typing import Any, TextIO

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.capability.likelihood import bits_per_byte, choice_scores, text_nats
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, REFUSING, Label, judge
from clampdown.measuring.judging.default.reading import said
from clampdown.measuring.judging.looping import is_looping
from clampdown.measuring.sets.sets import Item, builtin_set
from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.measuring.statistics.rates import Interval
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.recipe import Recipe

BATCH = 32
KINDS = ("unsafe", "safe", "lookalike")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--limit", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-capability", action="store_true")
    parser.add_argument("--out", type=Path, help="where the answers go; they do not belong into the repository")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    args = parser.parse_args()
    model = load_chat_model()
    arms: dict[str, Recipe | None] = {"none": None} | {path.stem: Recipe.load(path) for path in args.recipes}
    sets = {kind: builtin_set(kind).half("report") for kind in ("unsafe", "safe", "lookalike", "capability", "text")}
    for kind in ("safe", "lookalike"):
        sets[kind] = sets[kind].sample(args.limit, args.seed)
    print(f"{model.name}, {model.dtype}, judge {JUDGE_VERSION}, {args.tokens} tokens; " + names(sets))
    figures: dict[str, dict[str, Any]] = {arm: {} for arm in arms}
    with args.out.open("w", encoding="utf-8") if args.out else open("/dev/null", "w") as out:
        for kind in KINDS:
            items = sets[kind].items
            told = answered(model, items, list(arms.values()), args.tokens, out, kind, list(arms))
            for arm, rows in zip(arms, told, strict=True):
                figures[arm][kind] = rates(rows, [item.cluster for item in items])
                print(f"{arm:12} {kind:10} {shown(figures[arm][kind])}", flush=True)
    for arm, recipe in arms.items() if not args.no_capability else ():
        figures[arm] |= capability(model, sets["capability"].items, recipe)
        nats = text_nats(model, [item.text for item in sets["text"].items], recipe)
        figures[arm]["bits_per_byte"] = bits_per_byte(sum(n for n, _ in nats), sum(b for _, b in nats))
        right = percent(figures[arm]["right"])
        print(f"{arm:12} right {right}, bits per byte {figures[arm]['bits_per_byte']:.3f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


def names(sets: Any) -> str:
    return ", ".join(f"{kind} n {len(found.items)}" for kind, found in sets.items())


def answered(
    model: ChatModel,
    items: tuple[Item, ...],
    recipes: list[Recipe | None],
    tokens: int,
    out: TextIO,
    kind: str,
    arms: list[str],
) -> list[list[dict[str, Any]]]:
    """For every arm what each item's answer was, in the items' order; all arms answer a prompt in the same batch."""
    found: list[dict[int, dict[str, Any]]] = [{} for _ in recipes]
    asked = [(arm, place) for place in by_length(items) for arm in range(len(recipes))]
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        prompts = [model.prompt_ids(items[place].text) for _, place in some]
        answers = generate(model, prompts, [recipes[arm] for arm, _ in some], Sampling(tokens))
        for (arm, place), answer in zip(some, answers, strict=True):
            item = items[place]
            label = judge(item.text, answer.text, truncated=not answer.finished)
            row = {"arm": arms[arm], "kind": kind, "item": item.id, "label": label, "finished": answer.finished}
            row |= {"looping": is_looping(said(answer.text), item.text), "prompt": item.text, "answer": answer.text}
            found[arm][place] = row
            print(json.dumps(row), file=out, flush=True)
    return [[rows[place] for place in range(len(items))] for rows in found]


def by_length(items: tuple[Item, ...]) -> list[int]:
    return sorted(range(len(items)), key=lambda place: len(items[place].text))


def rates(rows: list[dict[str, Any]], clusters: list[str]) -> dict[str, Any]:
    """Shares of the scored answers, with how many those are."""
    kept = [(row, c) for row, c in zip(rows, clusters, strict=True) if row["label"] is not Label.UNSCORED]
    of = {
        "coherent_refusal": [row["label"] in REFUSING and not row["looping"] for row, _ in kept],
        "refusal": [row["label"] in REFUSING for row, _ in kept],
        "looping": [row["looping"] for row, _ in kept],
        "incoherent": [row["label"] is Label.INCOHERENT for row, _ in kept],
        "ended": [row["finished"] for row, _ in kept],
    }
    return {"n": len(kept)} | {name: clustered_rate(hits, [c for _, c in kept]) for name, hits in of.items()}


def capability(model: ChatModel, items: tuple[Item, ...], recipe: Recipe | None) -> dict[str, Any]:
    """The share of questions whose right choice is the likeliest."""
    right = []
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        scores = choice_scores(model, some, recipe)
        right += [row.index(max(row)) == item.answer for item, row in zip(some, scores, strict=True)]
    return {"right": clustered_rate(right, [item.cluster for item in items])}


def shown(rated: dict[str, Any]) -> str:
    rest = (f"{name} {percent(told)}" for name, told in rated.items() if isinstance(told, Interval))
    return f"n {rated['n']}: " + ", ".join(rest)


def percent(told: Interval) -> str:
    return f"{100 * told.value:.1f} ({100 * told.low:.1f}–{100 * told.high:.1f})"


if __name__ == "__main__":
    main()
