"""A search for a more precise edit: many arms, the edit forced on, by what they refuse and what they cost.

    python benchmarks/precision DATA --json FIGURES.json [--only FAMILY,FAMILY] [--no-report]

Every arm is one recipe without a gate. All are screened on the selecting half of the items (the built-in sets, and of
DATA, a folder of public sets, WikiText-2, HellaSwag and PIQA). Of each family the best is then measured on the
reporting half beside the edit that comes along (and so are those that --report names), and the differences are paired,
at 95% of all of them together
(Bonferroni): what is best of many on one half is often so by luck. The tables say how many arms were tried.

Begun again with the same settings, the command goes on where it was. --only picks families; arms that were made before
keep their edits. A family's best is the arm with the least damage among those that refuse nearly as much as the edit
that comes along (or, where none does, among those that refuse nearly as much as the family's best): damage is the KL
on plain text and the fall of the margin of questions, each as a share of what the shipped edit does.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from arm_families import FAMILIES, SHIPPED, Workshop
from forced import NONE, measured
from frontier import best, page
from halves import items

from clampdown.measuring.judging.default.judge import JUDGE_VERSION
from clampdown.models.chat_model import load_chat_model
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import GUARDED, bundled_path
from clampdown.writing import json_text, write_whole

TOGETHER = 6
"""Arms that are measured side by side: what none of them edits runs once."""
SIZES = {
    "select": {"unsafe": 24, "safe": 8, "lookalike": 8, "questions": 32, "passages": 12},
    "report": {"unsafe": 64, "safe": 24, "lookalike": 24, "questions": 80, "passages": 16},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--recipe", default=GUARDED, help="whose edit is the shipped one (default: guarded)")
    parser.add_argument("--only", default="", help="families, with commas between them")
    parser.add_argument("--report", action="append", default=[], metavar="ARM", help="measure it there, too")
    parser.add_argument("--no-report", action="store_true", help="screen, and leave the reporting half alone")
    parser.add_argument("--seed", type=int, default=0, help="draws the items (default: 0)")
    parser.add_argument("--dtype", default="auto")
    args = parser.parse_args()
    model = load_chat_model(dtype=args.dtype)
    path = bundled_path(args.recipe) if args.recipe == GUARDED else Path(args.recipe)
    shipped = replace(Recipe.load(path), gate=None, name=SHIPPED)
    settings = {"model": model.name, "dtype": str(model.dtype), "recipe": shipped.sha256[:12], "judge": JUDGE_VERSION}
    body = kept(args.json, settings | {"seed": args.seed, "sizes": SIZES}, parser)
    only = [name for name in args.only.split(",") if name] or list(FAMILIES)
    if unknown := [name for name in only if name not in FAMILIES]:
        parser.error(f"no family is called {unknown[0]}; families are {', '.join(FAMILIES)}")
    if unknown := [name for name in args.report if not any(name in made for made in body["families"].values())]:
        parser.error(f"no arm is called {unknown[0]!r} yet; name one of the first table")
    run = Search(model, body, args)
    shop = Workshop(model, shipped, args.seed)
    for family in dict.fromkeys(["shipped", *only]):
        if family not in body["families"]:
            made = FAMILIES[family](shop)
            body["families"][family] = {name: recipe.to_dict() for name, recipe in made.items()}
            run.write()
        run.measure("select", list(body["families"][family]))
    if not args.no_report:
        run.measure("report", [*best(body), *args.report])
    print(f"\n{page(body)}")


class Search:
    """What was measured so far, and the arms that are still to be."""

    def __init__(self, model: Any, body: dict[str, Any], args: argparse.Namespace) -> None:
        self.model, self.body, self.args = model, body, args
        self.halves: dict[str, Any] = {}

    def measure(self, half: str, names: list[str]) -> None:
        """Measure what is missing, a few arms of one layer at a time, and write it down at once."""
        told = self.body[half]
        recipes = {name: self.recipe(name) for name in names if name not in told}
        for layer in sorted({lowest(recipe) for recipe in recipes.values()}):
            some = [name for name, recipe in recipes.items() if lowest(recipe) == layer]
            for start in range(0, len(some), TOGETHER):
                chunk = {name: recipes[name] for name in some[start : start + TOGETHER]}
                began = time.monotonic()
                if half not in self.halves:
                    self.halves[half] = items(self.args.data, half, SIZES[half], self.args.seed)
                found = measured(self.model, self.halves[half], chunk, half == "select", NONE not in told)
                told |= found
                self.write()
                print(f"{half}: {', '.join(chunk)} ({time.monotonic() - began:.0f} s)", flush=True)

    def recipe(self, name: str) -> Recipe:
        return Recipe.from_dict(next(made[name] for made in self.body["families"].values() if name in made))

    def write(self) -> None:
        write_whole(self.args.json, json_text(self.body))


def lowest(recipe: Recipe) -> int:
    return min(edit.layer for edit in recipe.edits)


def kept(path: Path, settings: dict[str, Any], parser: argparse.ArgumentParser) -> dict[str, Any]:
    """What an earlier run with the same settings has made and measured."""
    if not path.exists():
        return {"settings": settings, "families": {}, "select": {}, "report": {}}
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if differing := [name for name in settings if body["settings"].get(name) != settings[name]]:
        parser.error(f"{path} was measured with another {differing[0]}; name another file")
    return body


if __name__ == "__main__":
    main()
