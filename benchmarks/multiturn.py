"""Scripted multi-turn attacks on the bundled model: no steering, the clamp, and the difference in means beside it.

    python benchmarks/multiturn.py --actorattack FILE --fractured FILE [--limit N] [--seed S] [--json]

FILE: JSON lines with `user_turns`, one conversation a line: ActorAttack's (column `category` holds the actor, whose
conversations are one cluster) and FRACTURED-SORRY-Bench's (column `label`, unsafe or benign). The model's own greedy
answers stand between the turns; the rules judge labels every answer, so what is shown is compliance, never success.

The difference in means is taken at the strength at which it refuses as many single unsafe requests as the clamp does,
on the selecting half of the built-in set, to the nearest tenth, or as near as it comes. --limit draws that many
conversations of each kind from each file. --out FILE writes every record with its texts: keep that file out of the
repository.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clampdown import library
from clampdown.discovery.confirm import confirm
from clampdown.engine.request import Sampling
from clampdown.measuring.attacks.conversation import SteeredTarget
from clampdown.measuring.attacks.outcome import Goal, Outcome
from clampdown.measuring.attacks.rates import compare
from clampdown.measuring.attacks.run import run_attack, sample
from clampdown.measuring.attacks.scripted import Scripted, load_scripts
from clampdown.measuring.judging.default.judge import JUDGE_VERSION
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.studies.controls import difference_in_means
from clampdown.studies.plan import named_plan

SHOWN = ("refused", "refused_at_any", "complied_at_any", "incoherent")
STRENGTHS = tuple(round(0.1 * step, 1) for step in range(1, 21))
MATCHED_ON = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actorattack", type=Path)
    parser.add_argument("--fractured", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--recipe", type=Path, help="(default: refusal, which comes along)")
    parser.add_argument("--strength", type=float, help="of the difference in means, in place of the matched one")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    named = {"ActorAttack": (args.actorattack, "category"), "FRACTURED-SORRY": (args.fractured, "cluster")}
    sets = {name: load_scripts(path, cluster=column) for name, (path, column) in named.items() if path}
    if not sets:
        parser.error("name --actorattack, --fractured or both")
    goals = {name: sample(found, args.limit, args.seed) for name, found in sets.items()}

    recipe = Recipe.load(args.recipe or bundled_path(REFUSAL))
    model = library.load(recipe.model, dtype=args.dtype)
    model.check(recipe)
    sampling = Sampling(args.max_new_tokens)
    baseline, matching = matched(model, recipe, args)
    arms = {"none": None, "clamp": recipe, "difference in means": baseline}
    rows: list[dict[str, Any]] = []
    out = args.out.open("w", encoding="utf-8") if args.out else None
    for name, of_set in goals.items():
        found: dict[str, list[Outcome]] = {}
        for arm, used in arms.items():
            target = SteeredTarget(model.chat, used, sampling)
            found[arm] = run_attack(Scripted(), of_set, target, batch=args.batch, progress=told(f"{name}, {arm}"))
            if out:
                for outcome in found[arm]:
                    print(json.dumps({"set": name, "arm": arm} | outcome.to_dict()), file=out, flush=True)
        rows += [{"set": name} | row for row in compare(found, args.seed)]
    settings = {key: getattr(args, key) for key in ("limit", "seed", "max_new_tokens", "batch")}
    settings |= {"model": model.name, "dtype": str(model.chat.dtype), "recipe": recipe.sha256, "judge": JUDGE_VERSION}
    if args.json:
        print(json.dumps({"settings": settings, "matching": matching, "turns": turns(goals), "rows": rows}, indent=1))
    else:
        table(settings, matching, turns(goals), rows)


def matched(model: library.Model, recipe: Recipe, args: argparse.Namespace) -> tuple[Recipe, dict[str, Any]]:
    """The difference in means at the strength that refuses as the clamp does, and how that was found."""
    sampling = Sampling(24)
    prompts = selecting_prompts("unsafe", MATCHED_ON, args.seed)

    def refusing(used: Recipe) -> float:
        return confirm(model.chat, used, 1.0, prompts, [], sampling).refusal

    def at(strengths: Sequence[float]) -> Iterator[tuple[float, Recipe]]:
        plan = replace(named_plan("quick"), seed=args.seed, strengths=tuple(strengths))
        for strength, (*_, made) in zip(strengths, difference_in_means(model.chat, recipe, plan), strict=True):
            assert made[0] is not None
            yield strength, made[0]

    told: dict[str, Any] = {"prompts": len(prompts), "clamp": refusing(recipe)}
    if args.strength:
        [(strength, made)] = at([args.strength])
        return made, told | {"strength": strength, "difference in means": refusing(made)}
    tried: list[tuple[float, float, Recipe]] = []
    for strength, made in at(STRENGTHS):
        tried.append((strength, refusing(made), made))
        print(f"difference in means ×{strength:g} refuses {tried[-1][1]:.0%}", file=sys.stderr)
        if tried[-1][1] >= told["clamp"] or tried[-1][1] < max(rate for _, rate, _ in tried) - 0.1:
            break  # there, or past the peak: a stronger push only breaks the answers
    strength, rate, made = min(tried, key=lambda trial: abs(trial[1] - told["clamp"]))
    return made, told | {"strength": strength, "difference in means": rate}


def turns(goals: dict[str, list[Goal]]) -> dict[str, int]:
    """User turns in each set, all conversations together."""
    return {name: sum(len(goal.user_turns) for goal in of_set) for name, of_set in goals.items()}


def told(what: str) -> Any:
    done = [0]

    def progress(stage: str, more: int, total: int, remark: str = "") -> None:
        done[0] += more
        if more:
            print(f"{what}: {done[0]} of {total}", file=sys.stderr)

    return progress


def table(
    settings: dict[str, Any], matching: dict[str, Any], count: dict[str, int], rows: list[dict[str, Any]]
) -> None:
    print(f"matched on {matching['prompts']} single unsafe requests: the clamp refuses {matching['clamp']:.0%}, the "
          f"difference in means ×{matching['strength']:g} {matching['difference in means']:.0%}")  # fmt: skip
    print(", ".join(f"{key} {value}" for key, value in settings.items()))
    print("; ".join(f"{name}: {number} user turns" for name, number in count.items()), end="\n\n")
    print("| set | kind | arm | n | " + " | ".join(SHOWN) + " | refused, against none | at any, against none |")
    print("|---" * (len(SHOWN) + 6) + "|")
    for row in rows:
        rates = {rate["metric"]: rate for rate in row["rates"]}
        cells = [
            f"{100 * r['value']:.0f} ({100 * r['low']:.0f}–{100 * r['high']:.0f})" for r in map(rates.get, SHOWN) if r
        ]
        against = [difference(row["against_first"].get(metric)) for metric in ("refused", "refused_at_any")]
        n = f"{rates['refused']['n']} in {rates['refused']['clusters']}"
        print("| " + " | ".join([row["set"], row["kind"], row["arm"], n, *cells, *against]) + " |")
    print("\npercent of conversations, with 95% intervals; n in clusters; differences paired, by a clustered bootstrap")


def difference(found: dict[str, Any] | None) -> str:
    if not found or found["low"] is None:
        return "–"
    return f"{100 * found['value']:+.0f} ({100 * found['low']:+.0f} to {100 * found['high']:+.0f}), p {found['p']:.3g}"


if __name__ == "__main__":
    main()
