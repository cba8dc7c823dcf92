"""What a gate said of a prompt, as a study's rows keep it: {"open", "score", "threshold"}."""

from collections.abc import Mapping
from typing import Any

from clampdown.steering.decision import Decision

Gate = dict[str, bool | float | None]


def of_decision(decision: Decision | None) -> Gate | None:
    """None where there is no gate."""
    if decision is None:
        return None
    return {"open": decision.open, "score": decision.score, "threshold": decision.threshold}


def of_receipt(receipt: Mapping[str, Any] | None) -> Gate | None:
    """The same from a receipt as plain data. A gate that was asked several times is open if it ever was."""
    if not receipt or not receipt.get("gate"):
        return None
    return {"open": receipt["gate"] != "shut", "score": receipt.get("score"), "threshold": receipt.get("threshold")}
