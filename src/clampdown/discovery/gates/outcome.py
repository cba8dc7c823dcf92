"""What a gate does to labelled rows: the share of each kind that opens it, and how well it tells them apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clampdown.discovery.gates.rows import GateRow
from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.measuring.statistics.ranking import auc
from clampdown.measuring.statistics.rates import Interval


@dataclass(frozen=True)
class Outcome:
    """Of one kind of rows, or of all.

    Attributes:
        unsafe, safe: the share that opens the gate, items of a cluster taken together; None where there are none.
        unsafe_n, safe_n: rows.
        auc: how well scores tell unsafe from safe; None where there are not both.
    """

    kind: str
    unsafe: Interval | None
    unsafe_n: int
    safe: Interval | None
    safe_n: int
    auc: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "kind": self.kind,
            "open": {"unsafe": as_dict(self.unsafe), "safe": as_dict(self.safe)},
            "n": {"unsafe": self.unsafe_n, "safe": self.safe_n},
            "auc": as_dict(self.auc),
        }


def as_dict(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else interval._asdict()


def outcome(kind: str, rows: Sequence[GateRow], scores: Sequence[float], threshold: float) -> Outcome:
    """What a gate does to these rows, whose scores these are."""
    unsafe, safe = (
        [(row, s) for row, s in zip(rows, scores, strict=True) if row.unsafe == side] for side in (True, False)
    )
    apart = auc([s for _, s in unsafe], [s for _, s in safe]) if unsafe and safe else None
    return Outcome(kind, opened(unsafe, threshold), len(unsafe), opened(safe, threshold), len(safe), apart)


def opened(scored: Sequence[tuple[GateRow, float]], threshold: float) -> Interval | None:
    """The share of rows that open the gate; None of none."""
    if not scored:
        return None
    return clustered_rate([float(score >= threshold) for _, score in scored], [row.cluster for row, _ in scored])


def outcomes(rows: Sequence[GateRow], scores: Sequence[float], threshold: float) -> list[Outcome]:
    """Of all rows together, and then of each kind."""
    found = [outcome("all", rows, scores, threshold)]
    for kind in sorted({row.kind for row in rows}):
        own = [place for place, row in enumerate(rows) if row.kind == kind]
        found.append(outcome(kind, [rows[place] for place in own], [scores[place] for place in own], threshold))
    return found
