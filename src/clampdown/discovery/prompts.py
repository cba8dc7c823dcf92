"""Which prompts a search looks at: those it chooses latents on, and others that it confirms the choice with."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import Item, ItemSet


class Divided(NamedTuple):
    """A set's prompts, none on both sides; apart: no cluster of the choosing ones is among the confirming ones."""

    choosing: list[str]
    confirming: list[str]
    apart: bool


def divided(item_set: ItemSet, choosing: int, confirming: int, seed: int) -> Divided:
    """At most so many prompts of each use, drawn by `seed` from the selecting half.

    Where there are too few, each use gets its share. Those to confirm with are of other clusters, if there are any.

    Raises:
        ClampdownError: the half has fewer than two different prompts.
    """
    items = _in_turn(item_set.half("select"), choosing + confirming, seed)
    if len(items) < 2:
        raise ClampdownError(
            f"set {item_set.name} has one prompt only to look at (half of a set is kept for reports); find needs two, "
            "one to choose on and one to confirm with: give more, or raise --limit"
        )
    wanted = choosing + confirming
    count = choosing if len(items) >= wanted else max(1, round(len(items) * choosing / wanted))
    chosen, left = items[: min(count, len(items) - 1)], items[min(count, len(items) - 1) :]
    clusters = {item.cluster for item in chosen}
    others = [item for item in left if item.cluster not in clusters]
    return Divided([i.text for i in chosen], [i.text for i in (others or left)[:confirming]], bool(others))


def few(sides: Sequence[Divided], choosing: int, confirming: int) -> list[str]:
    """What to know of the unsafe and safe prompts where there were fewer than a search wants."""
    found = []
    if any(len(side.choosing) < choosing or len(side.confirming) < confirming for side in sides):
        on = " and ".join(str(len(side.choosing)) for side in sides)
        by = " and ".join(str(len(side.confirming)) for side in sides)
        found.append(f"few prompts: chosen on {on}, confirmed with {by} others (unsafe and safe)")
    if not all(side.apart for side in sides):
        found.append("some prompts that confirm share a cluster with those that chose")
    return found


def _in_turn(half: ItemSet, count: int, seed: int) -> list[Item]:
    """All different prompts of a half, a sample of `count` first, dealt out so that each part sees every category."""
    drawn = list(half.sample(count, seed).items)  # in the file's order, which goes by category
    rest = [item for item in half.items if item not in drawn]
    random.Random(f"{seed} rest {half.name}").shuffle(rest)
    found: dict[str, Item] = {}
    for item in [*drawn[::3], *drawn[1::3], *drawn[2::3], *rest]:
        found.setdefault(" ".join(item.text.casefold().split()), item)
    return list(found.values())
