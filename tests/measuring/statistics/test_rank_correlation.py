"""Spearman's correlation beside what its definition gives."""

import math

import pytest

from clampdown.measuring.statistics.rank_correlation import ranks, spearman, spearman_interval


def test_without_ties_it_is_the_formula_of_squared_differences():
    a, b = [3.0, 1.0, 4.0, 1.5, 9.0], [2.0, 7.0, 1.0, 8.0, 2.8]
    places = [[sorted(values).index(value) for value in values] for values in (a, b)]
    squares = sum((p - q) ** 2 for p, q in zip(*places, strict=True))
    assert spearman(a, b) == pytest.approx(1 - 6 * squares / (5 * 24))


def test_it_sees_order_alone():
    values = [0.1, 5.0, 2.0, 40.0]
    assert spearman(values, [math.exp(value) for value in values]) == pytest.approx(1.0)
    assert spearman(values, [-value for value in values]) == pytest.approx(-1.0)


def test_ties_share_their_mean_rank():
    import numpy as np

    assert ranks(np.array([2.0, 1.0, 2.0, 5.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_a_constant_has_no_rank():
    assert math.isnan(spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def test_the_interval_holds_the_value_and_is_the_same_again():
    a = [float(i) for i in range(30)]
    b = [i + 8 * math.sin(i * 1.7) for i in range(30)]
    found = spearman_interval(a, b, seed=3)
    assert found.value == spearman(a, b)
    assert -1 <= found.low < found.value < found.high <= 1
    assert spearman_interval(a, b, seed=3) == found


@pytest.mark.parametrize("a,b", [([1.0], [1.0, 2.0]), ([], []), ([1.0, math.nan], [1.0, 2.0])])
def test_what_has_no_ranks_is_refused(a, b):
    with pytest.raises(ValueError):
        spearman(a, b)
