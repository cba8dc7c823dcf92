"""How well scores tell two kinds of items apart, and what a threshold on them lets through: numpy alone.

Rates are fractions. Every function raises ValueError, in one plain line, for what it can't work with.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from clampdown.measuring.statistics.rates import Interval


def auc(positive: ArrayLike, negative: ArrayLike, confidence: float = 0.95) -> Interval:
    """The chance θ that a positive's score exceeds a negative's, ties counted half (Mann & Whitney), with an interval.

    Newcombe's method 5 (Stat. Med. 25, 2006, p. 559): all θ within z of the estimate, by Hanley and McNeil's variance
    at θ itself, with (m + n) / 2 − 1 in place of m − 1 and n − 1. It has a width at 0 and 1, where DeLong's has none.
    """
    high, low = _scores(positive, "positive"), _scores(negative, "negative")
    value = weighted_auc(high, low)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    m, n = len(high), len(low)
    more = max(0.0, (m + n) / 2 - 1)

    def within(theta: float) -> bool:
        share = 1 + more * (1 - theta) / (2 - theta) + more * theta / (1 + theta)
        return abs(value - theta) <= z * math.sqrt(theta * (1 - theta) * share / (m * n))

    return Interval(value, _edge(within, value, 0.0), _edge(within, value, 1.0))


def _edge(within: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where, on the way from `inside` to `outside`, `within` ends."""
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if within(middle) else (inside, middle)
    return (inside + outside) / 2


def weighted_auc(
    positive: ArrayLike,
    negative: ArrayLike,
    positive_weight: ArrayLike | None = None,
    negative_weight: ArrayLike | None = None,
) -> float:
    """The same chance for items drawn in proportion to their weights."""
    high, low = _scores(positive, "positive"), _scores(negative, "negative")
    of_high = np.ones_like(high) if positive_weight is None else np.asarray(positive_weight, dtype=np.float64)
    of_low = np.ones_like(low) if negative_weight is None else np.asarray(negative_weight, dtype=np.float64)
    order = np.argsort(low, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(of_low[order])])
    left, right = (np.searchsorted(low[order], high, side=side) for side in ("left", "right"))
    beaten = (below[left] + below[right]) / 2
    return float((of_high * beaten).sum() / (of_high.sum() * of_low.sum()))


def share_at(positive: ArrayLike, negative: ArrayLike, rate: float) -> float:
    """The share of positives that the lowest threshold lets through that lets through at most `rate` of negatives."""
    high, low = _scores(positive, "positive"), np.sort(_scores(negative, "negative"))[::-1]
    passing = int(rate * len(low) + 1e-9)
    return 1.0 if passing >= len(low) else float((high > low[passing]).mean())


def rate_bound(passed: int, n: int, confidence: float = 0.95) -> float:
    """The exact upper bound of a rate of which `passed` of n were seen (Clopper & Pearson, Biometrika 26, 1934).

    One-sided: the rate at which so few would be seen with a chance of 1 − confidence only.
    """
    if not 0 <= passed <= n or n < 1:
        raise ValueError(f"passed must lie between 0 and n, got {passed} of {n}")
    if passed == n:
        return 1.0

    def plausible(rate: float) -> bool:
        return rate == 0 or _at_most(passed, n, rate) > 1 - confidence

    return _edge(plausible, passed / n, 1.0)


def _at_most(k: int, n: int, p: float) -> float:
    """P[X ≤ k] of X ~ Binomial(n, p), 0 < p < 1."""
    if p >= 1:
        return 0.0
    terms = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    ]
    return math.fsum(map(math.exp, terms))


def least_n(rate: float, confidence: float = 0.95) -> int:
    """How many items it takes, none of which passes, to show that at most this rate does."""
    if not 0 < rate < 1:
        raise ValueError(f"rate must lie strictly between 0 and 1, got {rate}")
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate) - 1e-9)


def _scores(values: ArrayLike, name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or np.isnan(array).any():
        raise ValueError(f"{name} must be a list of at least one number")
    return array
