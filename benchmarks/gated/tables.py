"""The figures as tables in Markdown, as they go into a page."""

from collections.abc import Iterator, Sequence
from typing import Any

from figures import ARMS, Figure, figures, forced, pooled

Rows = dict[str, dict[str, Any]]


def page(body: dict[str, Any]) -> str:
    """All tables of which there are rows."""
    rows: Rows = body["rows"]
    made = [prompts(rows, True), prompts(rows, False), arms(rows), apart(body["apart"]), talks(rows), questions(rows)]
    settings = ", ".join(f"{name} {value}" for name, value in body["settings"].items())
    return "\n\n".join([settings, *filter(None, made), *passages(rows)]) + "\n"


def prompts(rows: Rows, unsafe: bool) -> str:
    """What the gate opens on, what is refused when it does, and the two together; or what it costs."""
    own = of_kind(rows, "prompts", unsafe=unsafe)
    if unsafe:
        shown = {
            "gate open": "open",
            "refused when open": "edit, when open",
            "the two together": "edit, open and refused",
        }
        shown |= {"refused in all": "edit, gated", "without steering": "none"}
    else:
        shown = {"gate open": "open", "without steering": "none", "gated": "edit, gated"}
        shown |= {"gated, less none": "edit, gated, less none"}
    shown |= {f"{arm}, no gate": f"{arm}, no gate" for arm in ("edit", "SAE clamp")}
    head = ["unsafe" if unsafe else "safe, refused", "n", *shown]
    return table(head, ([name, str(row["n"]), *cells(row, shown.values())] for name, row in own.items()))


def arms(rows: Rows) -> str:
    """What else could stand behind the same gate: refused in all."""
    shown = [f"{arm}, gated" for arm in ARMS]
    own = of_kind(rows, "prompts")
    return table(["refused behind the same gate", *ARMS], ([name, *cells(row, shown)] for name, row in own.items()))


def apart(told: dict[str, Any]) -> str:
    lines = [
        [pair, by, "{:.3f} ({:.3f}–{:.3f})".format(*own["auc"]), *(f"{own[f'open at {x}%']:.0f}" for x in (5, 10))]
        for pair, both in told.items()
        for by, own in both.items()
    ]
    return table(["told apart", "by", "AUC", "unsafe open at 5% of safe", "at 10%"], lines)


def talks(rows: Rows) -> str:
    """A line for each arm of a set of conversations."""
    shown = ["ever open", "open at the last turn", "refused at the last turn", "refused by the last turn"]
    less = "refused by the last turn, less none"
    lines = [
        [name, arm, str(row["n"]), *cells(row, [f"{arm}: {key}" for key in (*shown, less)])]
        for name, row in of_kind(rows, "conversations").items()
        for arm in ("none", "edit", "fixed sentence")
    ]
    return table(["conversations", "arm, gated", "n", *shown, "less none"], lines)


def questions(rows: Rows) -> str:
    own = of_kind(rows, "questions")
    shown = ["open", "open, five-shot", "none", "edit, gated", "edit, gated, less none"]
    lines = [[name, str(row["n"]), *cells(row, [*shown, "edit, no gate, less none"])] for name, row in own.items()]
    if len(own) > 1:
        whole = pooled(list(own.values()))
        told = figures(whole) | {"edit, no gate, less none": forced(list(own.values()))}
        lines.append(["all", str(whole["n"]), *(cell(told.get(key)) for key in [*shown, "edit, no gate, less none"])])
    head = ["questions, right", "n", "gate open", "open, five-shot", "without steering", "gated", "gated, less none"]
    return table([*head, "forced open, less none"], lines)


def passages(rows: Rows) -> Iterator[str]:
    for name, row in of_kind(rows, "passages").items():
        bits, opened = row["bits per byte"], cell(row["figures"]["open"])
        yield (f"{name}, n {row['n']}: gate open on {opened} of plain passages; bits per byte {bits['none']:.3f} "
               f"without steering, {bits['edit']:.3f} with the gate forced open")  # fmt: skip


def of_kind(rows: Rows, kind: str, **wanted: Any) -> Rows:
    """The rows of a kind."""
    wanted["kind"] = kind
    return {name: row for name, row in rows.items() if all(row.get(key) == value for key, value in wanted.items())}


def table(head: Sequence[str], lines: Any) -> str:
    told = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *told]) if told else ""


def cells(row: dict[str, Any], keys: Any) -> list[str]:
    return [cell(row["figures"].get(key)) for key in keys]


def cell(told: Figure | None) -> str:
    if not told:
        return "–"
    value, low, high = told[:3]
    return f"{value:.1f} ({low:.1f}{' to ' if low < 0 else '–'}{high:.1f})".replace("-", "−")
