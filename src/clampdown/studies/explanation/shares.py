"""What the table says in sentences: how much of the edit's loss other pushes of its size have."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def shares(rows: Sequence[Row]) -> dict[str, float]:
    """Each row's fall of the margin as a share of the edit's; empty where the edit's can't be told from none."""
    own = next(row["margin_fall"] for row in rows if row["name"] == "edit")
    if own["low"] is None or own["low"] <= 0:
        return {}
    return {row["name"]: row["margin_fall"]["value"] / own["value"] for row in rows if row["name"] != "edit"}


def sentences(rows: Sequence[Row]) -> list[str]:
    """The findings of the table, one thing a sentence."""
    by_name = {row["name"]: row for row in rows}
    edit = by_name["edit"]["margin_fall"]
    found = [
        f"The edit lowers the right choice's margin by {_nats(edit)} on {edit['n']} questions, and moves the share "
        f"answered right by {_points(by_name['edit']['accuracy_change'])}."
    ]
    told = shares(rows)
    if not told:
        return [*found, "That can't be told from nothing on so few questions, so there is nothing to divide."]
    said = [
        ("random", "random directions"),
        ("latents", "other latents' decoder rows"),
        ("innocent", "the row of a latent that has nothing to do with safety"),
        ("longer", "a longer residual with no direction of its own"),
        ("shorter", "a shorter one"),
    ]
    parts = [f"{words} {told[name]:.0%}".replace(" -", " −") for name, words in said if name in told]
    found.append(f"Pushes of the same length at the same places, as shares of that loss: {_listed(parts)}.")
    beyond = by_name["edit"]["beyond_random"]
    found.append(
        f"Beyond a random push of its length the edit costs {_nats(beyond)}: that is this direction's own."
        if beyond["low"] is not None and beyond["low"] > 0
        else f"Beyond a random push of its length the edit costs {_nats(beyond)}, which may be nothing: as far as "
        "this can tell, the loss is that of any push of its size."
    )
    if "reconstruction" in told:
        row = by_name["reconstruction"]
        found.append(
            f"The SAE's reconstruction error alone has {told['reconstruction']:.0%} of it, at its own size "
            f"(‖Δ‖/‖x‖ {row['relative_norm']:.2f}, the edit {by_name['edit']['relative_norm']:.2f})."
        )
    if "edit-prompt" in told:
        prompt, answer = told["edit-prompt"], told["edit-answer"]
        found.append(
            f"On the prompt's positions alone the edit has {prompt:.0%} of its loss, on the answer's {answer:.0%}: "
            f"{prompt + answer:.0%} together."
        )
    return found


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _nats(found: Row) -> str:
    return f"{_bound(found['value'])} nats ({_bound(found['low'])} to {_bound(found['high'])})"


def _points(found: Row) -> str:
    low, high = (_bound(found[key], 100, 1) for key in ("low", "high"))
    return f"{100 * found['value']:+.1f} points ({low} to {high})".replace("-", "−")


def _bound(value: float | None, times: float = 1, digits: int = 2) -> str:
    return "unknown" if value is None else f"{times * value:.{digits}f}".replace("-", "−")
