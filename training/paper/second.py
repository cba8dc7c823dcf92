"""Write the recipe of the second-best latent, at the value of the best: python second.py FIND_JSON RECIPE OUT"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from clampdown.recipe import Clamp, Recipe


def main(found: str, recipe: str, out: str) -> None:
    best = Recipe.load(Path(recipe))
    [clamp] = (edit for edit in best.edits if isinstance(edit, Clamp))
    others = [row for row in json.loads(Path(found).read_text())["latents"] if not row["chosen"]]
    if not others:
        raise SystemExit(f"{found} holds one candidate, so there is no second-best latent")
    second = others[0]  # they come ranked by their gap
    [value] = clamp.values.values()
    edit = replace(clamp, values={second["latent"]: value})
    replace(best, name="second-latent", edits=(edit,)).save(Path(out))
    gap = second["unsafe_gain"] - second["safe_gain"]
    print(f"latent {second['latent']}, gap {gap:+.2f} nats, promotes {' '.join(map(repr, second['promotes']))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
