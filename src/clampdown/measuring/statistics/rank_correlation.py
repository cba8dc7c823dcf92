"""Rank correlation with an interval: how well one list of numbers orders another."""

import math
from collections.abc import Sequence

import numpy as np

from clampdown.measuring.statistics.rates import Floats, Interval

_DRAWS = 1000


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's ρ, the correlation of ranks, ties sharing their mean rank (C. Spearman, Am. J. Psychol. 15, 1904).

    nan where either list has one value only. Raises ValueError for lists of different or no length, or not finite.
    """
    first, second = _checked(a, b)
    return _pearson(ranks(first), ranks(second))


def spearman_interval(a: Sequence[float], b: Sequence[float], *, seed: int, confidence: float = 0.95) -> Interval:
    """The same with a percentile bootstrap over pairs; draws in which either list has one value only are left out."""
    first, second = _checked(a, b)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        places = rng.integers(len(first), size=len(first))
        drawn.append(_pearson(ranks(first[places]), ranks(second[places])))
    known = [value for value in drawn if not math.isnan(value)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail]) if known else (math.nan, math.nan)
    return Interval(_pearson(ranks(first), ranks(second)), float(low), float(high))


def ranks(values: Floats) -> Floats:
    """Places from 1 when sorted, ties sharing their mean: [n]."""
    order = np.argsort(values, kind="stable")
    _, start, count = np.unique(values[order], return_index=True, return_counts=True)
    found = np.empty(len(values))
    found[order] = np.repeat(start + (count + 1) / 2, count)
    return found


def _pearson(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else math.nan


def _checked(a: Sequence[float], b: Sequence[float]) -> tuple[Floats, Floats]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"both lists need as many numbers, got {first.size} and {second.size}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("ranks are of finite numbers")
    return first, second
