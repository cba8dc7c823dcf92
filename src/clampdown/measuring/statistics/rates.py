"""Intervals and tests for rates and differences: numpy and the standard library only.

Rates and differences are fractions (0.25, never 25 percent). Every function raises ValueError, with one plain
line, when it is given something it cannot work with.
"""

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_CELLS = 4_000_000  # how many resampling counts are held at once: about 32 MB


class Interval(NamedTuple):
    """An estimate and the bounds around it, in the estimate's own units."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval for a rate (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, p. 209).

    Unlike the textbook p ± z·se it stays inside [0, 1] and is honest at 0 and n successes. With n = 0 nothing
    is known: the value is nan, the bounds 0 and 1.
    """
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n, got {successes} of {n}")
    _two_sided_z(confidence)
    return Interval(math.nan, 0.0, 1.0) if n == 0 else score_interval(successes / n, n, confidence)


def score_interval(p: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's interval around a rate p that is worth n > 0 independent items, which need not be a whole number."""
    z = _two_sided_z(confidence)
    shrink = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The ends are exact in algebra; rounding would otherwise leave 1e-17 where 0 belongs.
    low = 0.0 if p == 0 else max(0.0, centre - half)
    high = 1.0 if p == 1 else min(1.0, centre + half)
    return Interval(p, low, high)


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact p-value for paired yes/no outcomes (McNemar, Psychometrika 12, 1947; exact binomial
    form).

    b items changed one way and c the other; items that did not change carry no information. Under the null
    each change is a fair coin, so p = min(1, 2·P[X ≤ min(b, c)]) with X ~ Binomial(b + c, 1/2). No changes: p
    = 1.
    """
    if b < 0 or c < 0 or b != int(b) or c != int(c):
        raise ValueError(f"discordant counts must be whole and not negative, got {b} and {c}")
    n, k = int(b + c), int(min(b, c))
    log_terms = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1)]
    tail = math.fsum(math.exp(t - n * math.log(2)) for t in log_terms)
    return min(1.0, 2 * tail)


def exact_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Clopper and Pearson's interval for a rate (Biometrika 26, 1934): out lies what exact tests reject.

    Of the changes that went one way it leaves out 1/2 just where `mcnemar_exact` is at most 1 - confidence.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n, got {successes} of {n}")
    _two_sided_z(confidence)
    tail = (1 - confidence) / 2

    def least(k: int) -> float:
        """The rate at which k or more of n are as rare as the tail."""
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            seen = math.fsum(math.comb(n, i) * middle**i * (1 - middle) ** (n - i) for i in range(k, n + 1))
            low, high = (middle, high) if seen < tail else (low, middle)
        return (low + high) / 2

    low = least(successes) if successes else 0.0
    return Interval(successes / n, low, 1 - least(n - successes) if successes < n else 1.0)


def mcnemar_least(alpha: float) -> int:
    """The fewest changed items, all changed one way, with which `mcnemar_exact` comes down to `alpha`."""
    count = 1
    while mcnemar_exact(count, 0) > alpha:
        count += 1
    return count


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval for mean(b - a) over the same items (Efron & Tibshirani 1993, chapter 13).

    a, b: [items], no nan. clusters: one label an item; items that share a label (say, paraphrases of one
    goal) are drawn together. None: every item is its own cluster.
    """
    first, second = _finite(a, "a"), _finite(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a and b must pair up, got {first.size} and {second.size} items")
    return _bootstrap(second - first, clusters, seed, draws, confidence)


def cluster_bootstrap_mean(
    values: ArrayLike,
    clusters: Sequence[Hashable] | None,
    *,
    seed: int,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval for mean(values), values [items], resampling whole clusters (one label an item)."""
    return _bootstrap(_finite(values, "values"), clusters, seed, draws, confidence)


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down adjusted p-values, in the order given (S. Holm, Scand. J. Stat. 6, 1979).

    Rejecting where the adjusted value is at most α keeps the chance of any false rejection at α, whatever the
    dependence between the tests.
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError("p-values must lie between 0 and 1")
    m, worst = len(p_values), 0.0
    adjusted = [0.0] * m
    for rank, i in enumerate(sorted(range(m), key=lambda j: p_values[j])):
        worst = max(worst, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = worst
    return adjusted


def minimum_detectable_difference(n: int, base_rate: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest difference of two *unpaired* rates that n items an arm would show at this power, two-
    sided.

    Solves Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions (2003), equation 4.14 (no
    continuity correction), for p2: n d² = (z_{α/2} √(2 p̄ q̄) + z_power √(p1 q1 + p2 q2))², where p̄ is the
    mean of p1 and p2. The change is taken towards one half, where the variance is largest, so it is the
    larger of the two directions. Arms that answer the same items usually agree more than by chance; for a
    paired test this is then an upper bound. Returns nan when n is too small to show even the largest possible
    change.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not 0 <= base_rate <= 1:
        raise ValueError(f"base_rate must lie between 0 and 1, got {base_rate}")
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(f"power and alpha must lie strictly between 0 and 1, got {power} and {alpha}")
    if power <= alpha / 2:
        raise ValueError(f"power must exceed alpha / 2, got {power} and {alpha}")
    p1 = min(base_rate, 1 - base_rate)
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)

    def shown(d: float) -> bool:
        p2, mid = p1 + d, p1 + d / 2
        null, other = math.sqrt(2 * mid * (1 - mid)), math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
        return math.sqrt(n) * d >= z_alpha * null + z_power * other

    low, high = 0.0, 1 - p1
    if not shown(high):
        return math.nan
    for _ in range(60):
        mid = (low + high) / 2
        low, high = (low, mid) if shown(mid) else (mid, high)
    return high


def paired_detectable_difference(n: int, base_rate: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """`minimum_detectable_difference` where `mcnemar_exact` decides: no less than the share of the n items that must
    change before it comes down to `alpha`, and nan where that is more than can change.

    The formula is an approximation, and of few items it promises what the exact test can't keep.
    """
    found = minimum_detectable_difference(n, base_rate, power=power, alpha=alpha)
    found = max(found, mcnemar_least(alpha) / n)  # nan stays
    return found if found <= max(base_rate, 1 - base_rate) else math.nan


def items_needed(difference: float, base_rate: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """The number of items an arm from which on `minimum_detectable_difference` is `difference` or less."""
    if not 0 < difference <= 1:
        raise ValueError(f"difference must lie above 0, up to 1, got {difference}")
    few, enough = 0, 1

    def shown(n: int) -> bool:
        return minimum_detectable_difference(n, base_rate, power=power, alpha=alpha) <= difference  # nan: no

    while not shown(enough):
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if shown(middle) else (middle, enough)
    return enough


def _bootstrap(
    values: Floats, clusters: Sequence[Hashable] | None, seed: int, draws: int, confidence: float
) -> Interval:
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    _two_sided_z(confidence)
    sums, sizes = cluster_totals(values, clusters)
    value, k = float(values.mean()), len(sums)
    if k < 2:
        # One cluster can only be drawn as itself: a zero-width interval would claim what nobody knows.
        return Interval(value, -math.inf, math.inf)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, draws, step := max(1, _CELLS // k)):
        times = rng.multinomial(k, np.full(k, 1 / k), size=min(step, draws - start))
        means.append((times @ sums) / (times @ sizes))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def cluster_totals(values: Floats, clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Sum and size of each cluster, in order of first appearance (so a seed means the same everywhere)."""
    if clusters is None:
        return values, np.ones_like(values)
    if len(clusters) != values.size:
        raise ValueError(f"clusters must name every item, got {len(clusters)} labels for {values.size} items")
    number: dict[Hashable, int] = {}
    codes = [number.setdefault(label, len(number)) for label in clusters]
    sums = np.bincount(codes, weights=values).astype(np.float64)
    return sums, np.bincount(codes).astype(np.float64)


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a list of at least one number, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds nan or infinite values")
    return array


def _two_sided_z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie strictly between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)
