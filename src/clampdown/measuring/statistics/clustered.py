"""Rates and paired tests where items that share a goal, or samples of one item, are not independent of each other."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from clampdown.measuring.statistics.rates import Interval, cluster_totals, mcnemar_exact, score_interval, wilson


def clustered_rate(hits: ArrayLike, clusters: Sequence[Hashable], confidence: float = 0.95) -> Interval:
    """Wilson's interval for mean(hits), with the number of items that independent ones would need to be as certain.

    hits: [items], each 0 or 1; clusters: one label an item. The effective number is n divided by the design effect, the
    ratio of the clustered variance of a mean to the independent one (Rao & Scott, Biometrics 48, 1992); the latter is
    never taken for the larger. Where all hits are alike there is no variance to estimate, and items of a cluster count
    as copies of one another. Unlike a bootstrap it has a width at 0 and n hits. With clusters of one it is Wilson's.
    """
    values = np.asarray(hits, dtype=np.float64)
    n = values.size
    if n == 0:
        return wilson(0, 0, confidence)
    sums, sizes = cluster_totals(values, clusters)
    if sizes.max() == 1:
        return wilson(int(values.sum()), n, confidence)
    k, p = len(sums), float(values.mean())
    if k == 1:
        return Interval(p, 0.0, 1.0)  # one cluster says nothing of how clusters differ
    independent = p * (1 - p) / n
    if independent == 0:
        return score_interval(p, effective_n(clusters), confidence)
    clustered = k / (k - 1) * float(((sums - p * sizes) ** 2).sum()) / n**2
    return score_interval(p, n / max(1.0, clustered / independent), confidence)


def effective_n(clusters: Sequence[Hashable]) -> float:
    """How many independent items these are worth at worst, when those of a cluster are copies: (Σm)² / Σm² (Kish)."""
    _, sizes = cluster_totals(np.zeros(len(clusters)), clusters)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(clusters) else 0.0


def mcnemar_clustered(changes: ArrayLike, clusters: Sequence[Hashable]) -> float:
    """Two-sided exact p-value for paired yes/no outcomes whose items come in clusters.

    changes: [items], each −1, 0 or 1, how the item's outcome changed. Under the null a cluster's net change was as
    likely the other way round, so the p-value is the share of all sign flips of the clusters' net changes whose sum is
    as far from 0 as the one seen; the shares are exact, by convolution. With clusters of one it is McNemar's.
    """
    values = np.asarray(changes, dtype=np.float64)
    if values.size == 0:
        return 1.0
    if (values != np.sign(values)).any():
        raise ValueError("changes must each be -1, 0 or 1")
    sums, _ = cluster_totals(values, clusters)
    net = np.abs(sums[sums != 0]).astype(int)
    if (net == 1).all():
        return mcnemar_exact(int((sums > 0).sum()), int((sums < 0).sum()))
    total = int(net.sum())
    chance = np.zeros(2 * total + 1)  # of each sum from -total to total
    chance[total] = 1.0
    for step in net:
        flipped = np.zeros_like(chance)
        flipped[step:] += chance[:-step] / 2
        flipped[:-step] += chance[step:] / 2
        chance = flipped
    far = np.abs(np.arange(-total, total + 1)) >= abs(int(sums.sum()))
    return min(1.0, float(chance[far].sum()))
