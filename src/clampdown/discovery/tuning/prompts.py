"""Which unsafe prompts a recipe is tuned on, which choose its strength, and which confirm it: apart by their pairs."""

import hashlib
import random
from collections.abc import Collection, Sequence
from typing import NamedTuple

from clampdown.discovery.gates.rows import GateRow, fitting_rows, shipped_rows, without_reported
from clampdown.discovery.gates.split import joined_clusters
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.languages.detect import language_of

NONE_REPORTED = "none from the built-in sets' reporting halves"
"""Said in a tuned recipe's note, by which a report knows that its items chose nothing."""
_SHARES = (0.6, 0.75)
"""Of the clusters those to train on, and up to where those go that choose the strength; the rest confirm."""
_CARRIED = 6
"""One prompt in so many comes in a wrapper, or ends a conversation, so that the edit holds there too."""
_SHORT, _LONG = 260, 900
"""Characters: longer prompts count as wrapped, and the longest take too long to train on."""
_LEAST = 4
_FOREIGN = "languages"
"""The kind of those that come along in other languages; one question is often too short to be told by its words."""


class TunePrompts(NamedTuple):
    """Unsafe prompts, those of a pair in one part."""

    training: list[GateRow]
    choosing: list[GateRow]
    confirming: list[GateRow]


def unsafe_rows(names: Sequence[str], only: bool) -> tuple[list[GateRow], frozenset[str]]:
    """Unsafe rows that come along, in English, and those of named files or sets; and the kinds of the latter.

    The reporting halves of the built-in sets are left out, wherever they turn up.

    Raises:
        ClampdownError: a file can't be read or has no unsafe row; or nothing is left.
    """
    if only and not names:
        raise ClampdownError("--only leaves nothing to tune on without --unsafe files; name one")
    given = [row for name in names for row in fitting_rows(name, True)]
    ours = [] if only else [row for row in shipped_rows() if row.unsafe and not row.raw and _is_english(row)]
    return without_reported([*given, *ours]), frozenset(row.kind for row in given)


def _is_english(row: GateRow) -> bool:
    return row.kind != _FOREIGN and language_of(row.text) is None


def divided(rows: Sequence[GateRow], named: Collection[str], counts: tuple[int, int, int], seed: int) -> TunePrompts:
    """So many prompts to train on, to choose and to confirm with, at most: spread evenly over kinds.

    named: kinds of which half of each part is drawn, because the user named their files.

    Raises:
        ClampdownError: a part has too few.
    """
    parts: tuple[list[GateRow], ...] = ([], [], [])
    seen: set[tuple[tuple[str, str], ...]] = set()
    for row, cluster in zip(rows, joined_clusters(rows), strict=True):
        if row.messages not in seen and sum(len(content) for _, content in row.messages) <= _LONG:
            parts[_part(cluster, seed)].append(row)
        seen.add(row.messages)
    drawn = [_drawn(part, named, count, seed) for part, count in zip(parts, counts, strict=True)]
    if short := [part for part in drawn if len(part) < _LEAST]:
        raise ClampdownError(
            f"too few unsafe prompts: {len(rows)} fall into parts to train on, to choose the strength and to confirm "
            f"with, and one part has {len(short[0])} of at most {_LONG} characters; each needs {_LEAST}, so name more"
        )
    return TunePrompts(*drawn)


def _part(cluster: str, seed: int) -> int:
    digest = hashlib.sha256(f"tune {seed} {cluster}".encode("utf-8", "replace")).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64
    return sum(at >= share for share in _SHARES)


def _drawn(rows: Sequence[GateRow], named: Collection[str], count: int, seed: int) -> list[GateRow]:
    """Up to half of the kinds that were named, the rest of the others, a sixth of it wrapped or in conversations.

    Where there are too few others, more of those that were named.
    """
    mine = _evenly([row for row in rows if row.kind in named], count, seed)
    others = [row for row in rows if row.kind not in named]
    half = mine[: count // 2]
    carried = _evenly([row for row in others if _is_carried(row)], (count - len(half)) // _CARRIED, seed)
    plain = _evenly([row for row in others if not _is_carried(row)], count - len(half) - len(carried), seed)
    return (half + carried + plain + mine[count // 2 :])[:count]


def _is_carried(row: GateRow) -> bool:
    return len(row.messages) > 1 or len(row.text) > _SHORT


def _evenly(rows: Sequence[GateRow], count: int, seed: int) -> list[GateRow]:
    """One of each kind in turn, until there are enough."""
    kinds: dict[str, list[GateRow]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    for kind, own in kinds.items():
        random.Random(f"{seed} tune {kind}").shuffle(own)
    found = [
        row
        for turn in range(max(map(len, kinds.values()), default=0))
        for own in kinds.values()
        for row in own[turn : turn + 1]
    ]
    return found[:count]
