"""Tables for people: they fit the terminal, stay whole when piped into a file, and show names as they are."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clampdown.cli.terminal import one_line

if TYPE_CHECKING:
    from rich.table import Table

METRICS = {"unsafe": "refusal", "safe": "refusal", "lookalike": "refusal", "capability": "accuracy"}
METRICS |= {"attack": "refusal", "attack-safe": "refusal"}
"""The metric that the short table shows of each kind of set, where the results name no headline for it."""
VERBS = {"accuracy": "right", "coherent_refusal": "refused coherently"}


def plain_table(*headings: str, right: Sequence[str] = ()) -> "Table":
    """An empty table without a frame. Fill it by `add_row`; print it by `terminal.print_table`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        justify: Any = "right" if heading in right else "left"
        table.add_column(Text(one_line(heading)), justify=justify, overflow="fold")
    return table


def add_row(table: "Table", *cells: Any) -> None:
    """A row whose texts take one line each and stand as they are; cells may be rich's `Text` as well."""
    from rich.text import Text

    table.add_row(*(Text(one_line(cell)) if isinstance(cell, str) else cell for cell in cells))


def rate_cell(rate: Any) -> str:
    """A rate and its interval (an object with value, low and high), or a dash where there is none."""
    return f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%})" if rate else "–"


def arms_table(results: Mapping[str, Any]) -> "Table":
    """A study's arms: the share refused of each set of prompts, the share right of each set of questions, each of n."""
    metrics = METRICS | dict(results.get("headline") or {})
    sets = [s for s in results["sets"] if s["kind"] in METRICS]
    kinds = [s["kind"] for s in sets]
    names = [s["kind"] if kinds.count(s["kind"]) == 1 else s["name"] for s in sets]
    verbs = [VERBS.get(metrics[kind], "refused") for kind in kinds]
    words = [f"{name} {verb}" for name, verb in zip(names, verbs, strict=True)]
    table = plain_table("arm", *words, right=words)
    for arm in results["arms"]:
        cells = [_cell(arm["measures"], s["name"], metrics[s["kind"]]) for s in sets]
        add_row(table, str(arm.get("label") or arm["name"]), *cells)
    return table


def _cell(measures: Sequence[Mapping[str, Any]], item_set: str, metric: str) -> str:
    for m in measures:
        if m["set"] == item_set and m["metric"] == metric and m["value"] is not None:
            return f"{m['value']:.0%} of {m['n']}"
    return "–"
