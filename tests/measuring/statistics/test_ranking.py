"""Areas under the curve and exact bounds, against scipy and brute force."""

import itertools
import math

import numpy as np
import pytest

from clampdown.measuring.statistics.ranking import auc, least_n, rate_bound, share_at, weighted_auc

stats = pytest.importorskip("scipy.stats")


def test_the_area_is_the_share_of_pairs_in_order():
    draw = np.random.default_rng(0)
    high, low = draw.integers(0, 9, 40), draw.integers(0, 8, 30)
    pairs = [(a > b) + (a == b) / 2 for a, b in itertools.product(high, low)]
    found = auc(high, low)
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(stats.mannwhitneyu(high, low).statistic / (40 * 30))


def test_a_row_of_weight_two_counts_as_two_rows():
    high, low = [1.0, 3.0, 2.0], [0.0, 2.5]
    assert weighted_auc(high, low, [2, 1, 1], [1, 3]) == pytest.approx(auc([1, 1, 3, 2], [0, 2.5, 2.5, 2.5]).value)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(1)
    truth = float(stats.norm.cdf(1.5 / math.sqrt(2)))
    held = 0
    for _ in range(300):
        found = auc(draw.normal(1.5, 1, 60), draw.normal(0, 1, 40))
        held += found.low <= truth <= found.high
    assert held >= 0.92 * 300


@pytest.mark.parametrize("value, high, low", [(1.0, [2, 3], [0, 1]), (0.0, [0, 1], [2, 3])])
def test_an_area_at_the_end_still_has_an_interval(value, high, low):
    found = auc(high * 5, low * 5)
    assert found.value == value
    assert 0.05 < found.high - found.low < 0.6
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("passed, n", [(0, 300), (3, 200), (9, 10), (50, 50), (120, 4000)])
def test_the_bound_is_clopper_and_pearsons(passed, n):
    expected = 1.0 if passed == n else stats.beta.ppf(0.95, passed + 1, n - passed)
    assert rate_bound(passed, n) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.05, 0.5])
def test_the_fewest_items_that_can_show_a_rate(rate):
    n = least_n(rate)
    assert rate_bound(0, n) <= rate < rate_bound(0, n - 1)


def test_the_share_at_a_rate_never_lets_more_through():
    low = [0.1, 0.2, 0.3, 0.4, 0.9, 0.9, 0.5, 0.6, 0.7, 0.8]
    assert share_at([0.95, 0.85, 0.1], low, 0.1) == pytest.approx(1 / 3)  # two tie at 0.9: one can't pass alone
    assert share_at([0.95, 0.85, 0.1], low, 0.2) == pytest.approx(2 / 3)
    assert share_at([0.0], low, 1.0) == 1.0
    assert share_at([0.95, 0.85], low, 0.0) == pytest.approx(0.5)


def test_what_can_not_be_compared_is_refused():
    with pytest.raises(ValueError):
        auc([], [1.0])
    with pytest.raises(ValueError):
        auc([math.nan], [1.0])
    with pytest.raises(ValueError):
        rate_bound(3, 2)
