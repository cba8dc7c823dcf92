"""Each arm against no steering, on the same items; what the number of items can and can't tell."""

import math
from collections.abc import Sequence
from typing import Any

from clampdown.measuring.sets import ItemSet
from clampdown.measuring.statistics import (
    Interval,
    holm,
    mcnemar_exact,
    minimum_detectable_difference,
    non_inferiority,
    paired_bootstrap,
)
from clampdown.studies.arms import Arm
from clampdown.studies.measures import HEADLINE, Rows, Values, bounds, headline

MARGIN = 0.05
"""A loss smaller than this (5 points) counts as none, where the interval excludes anything larger."""
ALPHA = 0.05


def comparisons(arms: Sequence[Arm], sets: Sequence[ItemSet], rows: Rows, seed: int) -> list[dict[str, Any]]:
    """Every arm's headline metric minus that of `none`, set by set.

    {"arm", "set", "kind", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "reading"} each: the
    interval is a
    paired bootstrap over clusters, p McNemar's exact test, adjusted by Holm over the arms on that set. Bits per byte
    are no yes or no: there p is None, and the interval decides.
    """
    found = []
    for item_set in sets:
        base = headline(item_set, rows["none", item_set.name])
        others = [arm for arm in arms if arm.name != "none" and (arm.name, item_set.name) in rows]
        of_set = [
            _compare(arm, item_set, base, headline(item_set, rows[arm.name, item_set.name]), seed) for arm in others
        ]
        tested = [row for row in of_set if row["p"] is not None]
        for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_adjusted"] = adjusted
        for row in of_set:
            row["reading"] = _reading(row)
        found += of_set
    return found


def detectable(sets: Sequence[ItemSet], rows: Rows) -> list[dict[str, Any]]:
    """For every rate the smallest difference from `none` that its n would show with 80% power at 5%, unpaired."""
    found = []
    for item_set in sets:
        values = headline(item_set, rows["none", item_set.name])
        n = len(values.by_place)
        if not values.binary or not n:
            continue
        least = minimum_detectable_difference(n, sum(values.by_place.values()) / n)
        where = {"set": item_set.name, "kind": item_set.kind, "metric": HEADLINE[item_set.kind], "n": n}
        found.append(where | {"difference": least if math.isfinite(least) else None})
    return found


def _compare(arm: Arm, item_set: ItemSet, base: Values, other: Values, seed: int) -> dict[str, Any]:
    """One row, its adjusted p and reading still to come. Items unscored under either are left out."""
    places = [place for place in base.by_place if place in other.by_place]
    a, b = ([values.by_place[place] for place in places] for values in (base, other))
    row: dict[str, Any] = {"arm": arm.name, "set": item_set.name, "kind": item_set.kind}
    row |= {"metric": HEADLINE[item_set.kind], "n": len(places), "p": None, "p_adjusted": None}
    if not places:
        return row | {"difference": None, "low": None, "high": None}
    clusters = [item_set.items[place].cluster for place in places]
    interval = bounds(paired_bootstrap(a, b, clusters, seed=seed))
    row |= {"difference": interval["value"], "low": interval["low"], "high": interval["high"]}
    if base.binary:
        more = sum(y > x for x, y in zip(a, b, strict=True))
        less = sum(y < x for x, y in zip(a, b, strict=True))
        row["p"] = mcnemar_exact(more, less)
    return row


def _reading(row: dict[str, Any]) -> str:
    """What may be said of a difference."""
    difference, low, high = row["difference"], row["low"], row["high"]
    if difference is None or low is None or high is None:
        return "no difference this n can tell"
    shown = row["p_adjusted"] <= ALPHA if row["p_adjusted"] is not None else low > 0 or high < 0
    if shown and difference:
        return "higher" if difference > 0 else "lower"
    if row["metric"] == "bits_per_byte" or row["kind"] == "unsafe":
        return "no difference this n can tell"
    # More is better for accuracy, less for refusals of harmless requests. An interval of no width rests on no change
    # in any item, which at a small n proves little.
    good = Interval(difference, low, high) if row["metric"] == "accuracy" else Interval(-difference, -high, -low)
    if high > low and non_inferiority(good, MARGIN):
        what = "loss" if row["metric"] == "accuracy" else "rise"
        return f"no {what} of {100 * MARGIN:g} points or more"
    return "no difference this n can tell"
