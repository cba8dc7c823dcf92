"""Each arm against no steering, on the same items; what the number of items can and can't tell."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from clampdown.measuring.sets.sets import ItemSet
from clampdown.measuring.statistics.clustered import clustered_rate, effective_n, mcnemar_clustered
from clampdown.measuring.statistics.rates import (
    cluster_totals,
    exact_interval,
    holm,
    paired_bootstrap,
    paired_detectable_difference,
)
from clampdown.studies.arms import Arm
from clampdown.studies.measures import Rows, Values, bounds, compared

MARGIN = 0.05
"""A loss smaller than this (5 points) counts as none, where the data exclude anything larger."""
ALPHA = 0.05
FEW = 20
"""With fewer changed clusters than this, a bootstrap of a difference is too narrow to rule anything out."""
_DRAWS = 10_000
"""Draws for an interval whose confidence is corrected: its tails are thin."""

Pair = tuple[str, ItemSet, Values, Values]
"""An arm's name, a set, and the values of one metric on it for the base and for the arm."""


def comparisons(
    arms: Sequence[Arm], sets: Sequence[ItemSet], rows: Rows, seed: int, *, room: bool = False
) -> list[dict[str, Any]]:
    """What arms are compared by, minus the same of `none`, set by set; the arms on a metric of a set are one family.

    See `compare`, and `measures.compared`; room: see `measures.measures`.
    """
    found = []
    for item_set in sets:
        others = [arm for arm in arms if arm.name != "none" and (arm.name, item_set.name) in rows]
        theirs = {arm.name: compared(item_set, rows[arm.name, item_set.name], room=room) for arm in others}
        for base in compared(item_set, rows["none", item_set.name], room=room):
            values = {name: mine for name, some in theirs.items() for mine in some if mine.metric == base.metric}
            found += compare([(name, item_set, base, mine) for name, mine in values.items()], seed)
    return found


def compare(pairs: Sequence[Pair], seed: int) -> list[dict[str, Any]]:
    """A family of paired comparisons, the second values minus the first, each over the answers scored in both.

    {"arm", "set", "kind", "metric", "n", "difference", "low", "high", "p", "p_adjusted", "bound", "reading"} each. The
    interval is a paired 95% bootstrap over clusters, `_alike` where that has no width, and at least as wide as `_exact`
    where few clusters changed; it is not adjusted. p is McNemar's exact test, in its clustered form where items share a
    cluster, adjusted by Holm over the family. Bits per byte, and some of
    lm-eval's metrics, are no yes or no: there p is None, and a difference is read off the interval at a confidence that
    Bonferroni corrects for the family. `bound` is the loss (of accuracy) or rise (of refusals of harmless requests)
    that is excluded at 97.5%; None where no such claim is made.
    """
    found = [_compare(*pair, seed, ALPHA / len(pairs)) for pair in pairs]
    tested = [row for row in found if row["p"] is not None]
    for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_adjusted"] = adjusted
    for row in found:
        row["reading"] = _reading(row, row.pop("shown"))
    return found


def detectable(sets: Sequence[ItemSet], rows: Rows, *, room: bool = False) -> list[dict[str, Any]]:
    """For every rate the smallest difference from `none` that its n would show with 80% power at 5%, unpaired."""
    found = []
    for item_set in sets:
        for values in compared(item_set, rows["none", item_set.name], room=room):
            n = len(values.by_place)
            if not values.binary or not n:
                continue
            worth = max(1, int(effective_n(values.clusters(item_set))))
            least = paired_detectable_difference(worth, sum(values.by_place.values()) / n)
            where = {"set": item_set.name, "kind": item_set.kind, "metric": values.metric, "n": n}
            found.append(where | {"difference": least if math.isfinite(least) else None})
    return found


def _compare(name: str, item_set: ItemSet, base: Values, other: Values, seed: int, alpha: float) -> dict[str, Any]:
    """One row, its adjusted p and reading still to come; `shown` says what an interval alone shows."""
    keys = [key for key in base.by_place if key in other.by_place]
    a, b = ([values.by_place[key] for key in keys] for values in (base, other))
    row: dict[str, Any] = {"arm": name, "set": item_set.name, "kind": item_set.kind}
    row |= {"metric": base.metric, "n": len(keys), "p": None, "p_adjusted": None, "bound": None}
    if not keys:
        return row | {"difference": None, "low": None, "high": None, "shown": False}
    clusters = [item_set.items[place].cluster for place, _ in keys]
    interval = bounds(paired_bootstrap(a, b, clusters, seed=seed))
    row |= {"difference": interval["value"], "low": interval["low"], "high": interval["high"], "shown": False}
    if not (base.binary and other.binary):
        sure = paired_bootstrap(a, b, clusters, seed=seed, draws=_DRAWS, confidence=1 - alpha)
        return row | {"shown": not sure.low <= 0 <= sure.high}
    changes = [y - x for x, y in zip(a, b, strict=True)]
    if row["low"] is not None and row["low"] == row["high"]:
        row["low"], row["high"] = _alike(changes, clusters)
    elif row["low"] is not None and (exact := _exact(changes, clusters)):
        row["low"], row["high"] = min(row["low"], exact[0]), max(row["high"], exact[1])
    row["p"] = mcnemar_clustered(changes, clusters)
    if base.metric == "accuracy" or (base.metric == "refusal" and not item_set.kind.wants_refusal):
        row["bound"] = _bound(row, changes, clusters)
    return row


def _alike(changes: Sequence[float], clusters: Sequence[str]) -> tuple[float, float]:
    """Bounds of a difference where all clusters changed alike, which a bootstrap takes for certainty.

    They are Wilson's for the shares that changed each way, put together at their worst: all that may not have changed
    as seen may have changed the other way.
    """
    up, down = (clustered_rate([change == way for change in changes], clusters) for way in (1.0, -1.0))
    return up.low - min(down.high, 1 - up.low), min(up.high, 1 - down.low) - down.low


def _exact(changes: Sequence[float], clusters: Sequence[str]) -> tuple[float, float] | None:
    """McNemar's exact test turned round, where fewer than FEW clusters changed: there a bootstrap is too narrow.

    The clusters that changed count as tosses of a coin; its exact interval gives the difference that they can make. It
    holds 0 unless the test, of clusters of one, rejects it.
    """
    totals, _ = cluster_totals(np.asarray(changes, dtype=np.float64), clusters)
    net = totals[totals != 0]
    if not 0 < len(net) < FEW:
        return None
    share, most = exact_interval(int((net > 0).sum()), len(net)), float(np.abs(net).sum()) / len(changes)
    return most * (2 * share.low - 1), most * (2 * share.high - 1)


def _bound(row: dict[str, Any], changes: Sequence[float], clusters: Sequence[str]) -> float | None:
    """The largest loss, or rise of refusals, that the data leave possible: at most 2.5% of the time it is larger.

    The bootstrap's end of the difference; but where few clusters changed, Wilson's for the share of items that changed
    for the worse, as if none changed for the better. That end is honest where nothing changed at all.
    """
    worse = -1.0 if row["metric"] == "accuracy" else 1.0
    changed = {cluster for cluster, change in zip(clusters, changes, strict=True) if change}
    if len(changed) < FEW:
        return clustered_rate([change == worse for change in changes], clusters).high
    end = row["low"] if worse < 0 else row["high"]
    return None if end is None else max(0.0, worse * end)


def _reading(row: dict[str, Any], shown: bool) -> str:
    """What may be said of a difference, and where its own interval, which is not adjusted, says more: why not that."""
    difference, bound, p = row["difference"], row["bound"], row["p"]
    if difference and (shown or (row["p_adjusted"] is not None and row["p_adjusted"] <= ALPHA)):
        return "higher" if difference > 0 else "lower"
    if bound is not None and bound < MARGIN:
        what = "loss" if row["metric"] == "accuracy" else "rise"
        return f"no {what} of {100 * MARGIN:g} points or more"
    if difference and p is not None and p <= ALPHA:
        return "no difference once p is adjusted"
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return "no difference this n can tell"
    if p is None:
        return "no difference once the interval is adjusted"
    return f"no difference by the exact test, adjusted or not (p over {ALPHA:g})"
