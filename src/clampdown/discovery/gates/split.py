"""Three parts of the rows that never share a cluster: to fit on, to set the threshold with, and to confirm with."""

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from clampdown.discovery.gates.rows import GateRow

ORDINARY = (
    *("ordinary", "blocks", "built-in safe", "everyday-advice", "everyday-chat", "everyday-code", "everyday-exam"),
    *("everyday-facts", "everyday-home", "everyday-lists", "everyday-science", "everyday-sensitive", "everyday-sums"),
    *("everyday-text", "everyday-writing", "raw", "shots"),
)
"""Kinds of safe prompts such as people ask every day. A false-positive rate is stated of these, and they are easy to
tell from unsafe ones: more of them set the threshold, and fewer are fitted on."""


class Parts(NamedTuple):
    """Places of rows."""

    fit: list[int]
    calibrate: list[int]
    confirm: list[int]


def split(rows: Sequence[GateRow], calibrating: Collection[str], seed: int) -> Parts:
    """The rows' places by a hash of their cluster: of 100 clusters 70, 15 and 15; 50, 35 and 15 of those that hold
    nothing but safe rows of the kinds that calibrate.

    A row that says the same as another, under whatever label, is in that one's part: clusters that share a text are
    one.
    """
    cluster = joined_clusters(rows)
    other = {c for c, row in zip(cluster, rows, strict=True) if row.unsafe or row.kind not in calibrating}
    parts = Parts([], [], [])
    for place, name in enumerate(cluster):
        digest = hashlib.sha256(f"gate {seed} {name}".encode("utf-8", "replace")).digest()
        at = int.from_bytes(digest[:8], "big") / 2**64
        first, second = (0.7, 0.85) if name in other else (0.5, 0.85)
        parts[0 if at < first else 1 if at < second else 2].append(place)
    return parts


def joined_clusters(rows: Sequence[GateRow]) -> list[str]:
    """A cluster for each row: its own, or the first of those that its text ties together."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while (up := root.setdefault(name, name)) != name:
            name = up
        return name

    by_text: dict[str, str] = {}
    for row in rows:
        text = " ".join(" ".join(content for _, content in row.messages).casefold().split())
        one, two = find(row.cluster), find(by_text.setdefault(text, row.cluster))
        root[max(one, two)] = min(one, two)
    return [find(row.cluster) for row in rows]
