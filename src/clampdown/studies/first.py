"""Which arms come first: those that a study is read by, so that a report of them need not wait for all others."""

import math
from collections.abc import Collection

_ALWAYS = ("none", "clamp-1", "direction-1", "system-prompt")
_RANDOM = ("random-latents", "random-directions")
_DENSE = "difference-in-means-"


def first_names(arms: Collection[str]) -> list[str]:
    """Of the arms' names those that come first, in the order given.

    No steering, the recipe as it is, the difference in means at the strength closest to 1, the random latents (where a
    recipe clamps none, the random directions) and the system prompt.
    """
    closest = sorted((name for name in arms if name.startswith(_DENSE)), key=_from_one)[:1]
    chosen = {*_ALWAYS, *closest, *[name for name in _RANDOM if name in arms][:1]}
    return [name for name in arms if name in chosen]


def _from_one(name: str) -> float:
    """How far from 1 the strength is that a name ends on."""
    try:
        return abs(float(name.removeprefix(_DENSE)) - 1)
    except ValueError:  # of a database that somebody changed
        return math.inf
