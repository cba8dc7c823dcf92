"""Tables for people: they fit the terminal, and stay whole when piped into a file."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

METRICS = {"unsafe": "refusal", "safe": "refusal", "lookalike": "refusal", "capability": "accuracy"}
METRICS |= {"attack": "refusal", "attack-safe": "refusal"}
"""The metric that the short table shows of each kind of set."""
_PIPED_WIDTH = 120


def console() -> "Console":
    """Standard output, 120 columns wide where it is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def plain_table(*headings: str, right: Sequence[str] = ()) -> "Table":
    """An empty table without a frame."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def arms_table(results: Mapping[str, Any]) -> "Table":
    """A study's arms: the share refused of each set of prompts, the share right of each set of questions, each of n."""
    from rich.text import Text

    sets = [s for s in results["sets"] if s["kind"] in METRICS]
    kinds = [s["kind"] for s in sets]
    names = [s["kind"] if kinds.count(s["kind"]) == 1 else s["name"] for s in sets]
    verbs = ["right" if kind == "capability" else "refused" for kind in kinds]
    words = [f"{name} {verb}" for name, verb in zip(names, verbs, strict=True)]
    table = plain_table("arm", *words, right=words)
    for arm in results["arms"]:
        cells = [_cell(arm["measures"], s) for s in sets]
        table.add_row(Text(str(arm.get("label") or arm["name"])), *cells)
    return table


def _cell(measures: Sequence[Mapping[str, Any]], item_set: Mapping[str, Any]) -> str:
    for m in measures:
        if m["set"] == item_set["name"] and m["metric"] == METRICS[item_set["kind"]] and m["value"] is not None:
            return f"{m['value']:.0%} of {m['n']}"
    return "–"
