"""Write the recipes that the paper compares, from what `clampdown find --value` tested one by one.

    python recipes.py FIND_JSON RECIPE OUT                     refusal.toml, second.toml and both.toml
    python recipes.py --unrelated UNRELATED RECIPE OUT         unrelated.toml

As in the paper, the refusal latent is the one that makes the model refuse most unsafe requests, whatever it does to
safe ones, and the second the next best; `clampdown find` itself ranks by the gap between the two. `both` holds the two
of them. The paper's control, a latent that has nothing to do with safety, is held at the same value: UNRELATED is the
recipe of a study's arm unrelated-latent, which holds one at a value that moves the residual stream as far.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from clampdown.recipe import Clamp, Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unrelated", action="store_true")
    parser.add_argument("found", type=Path)
    parser.add_argument("recipe", type=Path, help="what find wrote: its clamp is taken, its latents are not")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    template = Recipe.load(args.recipe)
    if args.unrelated:
        latents = list(clamp(Recipe.load(args.found)).values)
        write(template, "unrelated", latents, args.out)
        print("unrelated: latent", *latents)
        return
    tested = json.loads(args.found.read_text())["latents"]
    if len(tested) < 2:
        raise SystemExit(f"{args.found} holds one candidate, so there is no second-best latent")
    best, second = sorted(tested, key=lambda row: row["unsafe_gain"], reverse=True)[:2]
    for name, rows in {"refusal": [best], "second": [second], "both": [best, second]}.items():
        write(template, name, [row["latent"] for row in rows], args.out)
    for name, row in (("refusal", best), ("second", second)):
        print(f"{name}: {told(row)}")


def write(template: Recipe, name: str, latents: list[int], out: Path) -> None:
    """The template with these latents in place of its own, each at its value, and without what it notes of its own."""
    edit = clamp(template)
    value = next(iter(edit.values.values()))
    made = replace(edit, values=dict.fromkeys(latents, value))
    replace(template, name=name, edits=(made,), note="as in the paper, by recipes.py").save(out / f"{name}.toml")


def clamp(recipe: Recipe) -> Clamp:
    [edit] = (edit for edit in recipe.edits if isinstance(edit, Clamp))
    return edit


def told(row: dict[str, Any]) -> str:
    gains = f"unsafe {row['unsafe_gain']:+.2f}, safe {row['safe_gain']:+.2f} nats"
    return f"latent {row['latent']}, {gains}, promotes {' '.join(map(repr, row['promotes']))}"


if __name__ == "__main__":
    main()
