"""Make a fitted recipe the default that comes along: its edits and its gate's file, under the name guarded.

python bundle.py gated.toml

The gate must have been fitted on our own items alone, as they are now. What lay there is replaced, and the figures of
the card beside it, guarded.md, are written anew; its words are written by hand.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clampdown.discovery.gates.fit import rows_hash
from clampdown.discovery.gates.rows import GateRow, shipped_rows, without_reported
from clampdown.recipe import Gate, Recipe
from clampdown.recipe.bundled import CLAMP, FOLDER, GUARDED, REFUSAL, bundled_path
from clampdown.steering.gates.gate_file import read_gate
from clampdown.writing import write_whole


def bundle(fitted: Path, folder: Path = FOLDER) -> Path:
    """Write the recipe, its gate's file and the card's figures into the folder; the gates before it are removed."""
    recipe, out = Recipe.load(fitted), folder / f"{GUARDED}.toml"
    if recipe.gate is None or not recipe.gate.file:
        sys.exit(f"{fitted} has no gate with a file; fit one with: clampdown gate fit")
    rows = without_reported(shipped_rows())
    if read_gate(recipe.gate).about.get("rows_sha256") != rows_hash(rows):
        sys.exit(f"the gate of {fitted} was fitted on other prompts than the items that come along; fit it again")
    replace(recipe, name=GUARDED).save(out)
    replace(Recipe.load(bundled_path(REFUSAL)), name=CLAMP, gate=recipe.gate).save(folder / f"{CLAMP}.toml")
    for path in folder.glob("gate-*.safetensors"):
        if path.name != recipe.gate.kept_name:
            path.unlink()
    card = FOLDER / f"{GUARDED}.md"
    told = filled(card.read_text(encoding="utf-8"), {"gate": about_table(recipe.gate), "items": items_table(rows)})
    write_whole(folder / card.name, told)
    return out


def filled(card: str, blocks: Mapping[str, str]) -> str:
    """The card with what stands between its marks written anew."""
    for name, text in blocks.items():
        before, mark, rest = card.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        assert mark and end, f"the card has no place for {name}"
        card = before + mark + text + end + after
    return card


def about_table(gate: Gate) -> str:
    """What the gate's file says of itself; its kinds stand in the table of items."""
    file = read_gate(gate)
    layers: dict[str, list[str]] = {}
    for part in file.parts:
        layers.setdefault(str(part), []).append(str(part.layer))
    reads = "; ".join(f"{what}, after block {', '.join(some)}" for what, some in layers.items())
    told = {"file": gate.kept_name, "reads": reads, "opens from": f"{file.threshold:.4g}"}
    told |= {name: value for name, value in file.about.items() if name != "kinds"}
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in told.items())


def items_table(rows: list[GateRow]) -> str:
    """How many prompts of each kind are fitted on."""
    counts = Counter((row.kind, row.unsafe) for row in rows)
    kinds = sorted({kind for kind, _ in counts})
    lines = [f"| {kind} | {counts[kind, True]} | {counts[kind, False]} |\n" for kind in kinds]
    total = f"| all | {sum(row.unsafe for row in rows)} | {sum(not row.unsafe for row in rows)} |\n"
    return "| kind | unsafe | safe |\n|---|---:|---:|\n" + total + "".join(lines)


if __name__ == "__main__":
    print(bundle(Path(sys.argv[1])))
