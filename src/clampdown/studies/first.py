"""Which arms come first: those that a study is read by, so that a report of them need not wait for all others."""

import math
import re
from collections.abc import Collection, Sequence

_RECIPE = r"(clamp|direction)-1(-gated|-shut|-watch)?"
_ALWAYS = ("none", "system-prompt")
_GATED = ("none", "fixed-refusal")
_RANDOM = ("random-latents", "random-directions")
_DENSE = "difference-in-means-"


def first_names(arms: Collection[str]) -> list[str]:
    """Of the arms' names those that come first, in the order given.

    No steering, the recipe as it is, the difference in means at the strength closest to 1, the random latents (where a
    recipe clamps none, the random directions) and the system prompt. Where a gate decides: no steering, the recipe
    under all its gates, and the fixed refusal behind the same one, which costs next to nothing.
    """
    dense = sorted((name for name in arms if name.startswith(_DENSE)), key=_from_one)
    chosen = {name for name in arms if re.fullmatch(_RECIPE, name)}
    if any(name.endswith("-gated") for name in chosen):
        chosen |= set(_GATED)
    else:
        chosen |= {*_ALWAYS, *dense[:1], *[name for name in arms if name.startswith(_RANDOM)][:1]}
    return [name for name in arms if name in chosen]


def closest_to_one(strengths: Sequence[float]) -> float:
    """The strength closest to 1; of two as close, the first."""
    return min(strengths, key=lambda strength: abs(strength - 1))


def _from_one(name: str) -> float:
    """How far from 1 the strength is that a name tells."""
    told = re.match(r"[\d.]+(e[+-]?\d+)?", name.removeprefix(_DENSE))
    try:
        return abs(float(told[0]) - 1) if told else math.inf
    except ValueError:  # of a database that somebody changed
        return math.inf
