"""The statistics against published figures, scipy, and brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clampdown.measuring.statistics.clustered import clustered_rate, effective_n, mcnemar_clustered
from clampdown.measuring.statistics.rates import (
    cluster_bootstrap_mean,
    exact_interval,
    holm,
    items_needed,
    mcnemar_exact,
    minimum_detectable_difference,
    paired_bootstrap,
    paired_detectable_difference,
    score_interval,
    wilson,
)

stats = pytest.importorskip("scipy.stats")
settings.register_profile("busy", deadline=None)  # a busy machine is not a failure
settings.load_profile("busy")

# Newcombe (Stat. Med. 17, 1998), table I, method 3: the score interval without continuity correction.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize("successes, n, low, high", NEWCOMBE)
def test_wilson_gives_newcombes_published_intervals(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((successes / n, low, high), abs=5e-5)


def test_wilson_of_nothing_knows_nothing():
    value, low, high = wilson(0, 0)
    assert math.isnan(value) and (low, high) == (0, 1)


@given(st.integers(1, 10_000), st.data(), st.floats(0.5, 0.999))
def test_wilson_agrees_with_scipy_and_mirrors(n, data, confidence):
    k = data.draw(st.integers(0, n))
    ours = wilson(k, n, confidence)
    theirs = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    mirror = wilson(n - k, n, confidence)
    assert (1 - mirror.high, 1 - mirror.low) == pytest.approx((ours.low, ours.high), abs=1e-12)


def test_mcnemar_by_listing_every_coin():
    for b, c in itertools.product(range(7), repeat=2):
        flips = list(itertools.product((0, 1), repeat=b + c))
        as_far = sum(abs(2 * sum(f) - b - c) >= abs(b - c) for f in flips)
        assert mcnemar_exact(b, c) == pytest.approx(as_far / len(flips), rel=1e-12)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_agrees_with_scipy_and_is_symmetric(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-7, abs=1e-200)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


def test_bootstrap_finds_the_exact_bootstrap_quantiles():
    a, b = [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 4.0]
    every = [np.mean(draw) for draw in itertools.product(b, repeat=4)]
    low, high = np.quantile(every, [0.025, 0.975])
    got = paired_bootstrap(a, b, seed=1, draws=20_000)
    assert got.value == 1.75
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.26)  # the grid of means has steps of 1/4


def test_bootstrap_of_a_constant_difference_has_no_width():
    assert paired_bootstrap([0.0, 1.0, 0.5], [0.25, 1.25, 0.75], seed=3) == (0.25, 0.25, 0.25)


def test_clusters_travel_together():
    # 40 copies of 5 answers are 5 observations: ignoring that would shrink the interval by √40.
    values = np.repeat([0.0, 0.0, 1.0, 1.0, 1.0], 40)
    labels = [i // 40 for i in range(200)]
    whole = cluster_bootstrap_mean(values, labels, seed=0)
    apart = cluster_bootstrap_mean(values, list(range(200)), seed=0)
    few = cluster_bootstrap_mean([0.0, 0.0, 1.0, 1.0, 1.0], None, seed=0)
    assert whole == few
    assert whole.high - whole.low > 4 * (apart.high - apart.low)


def test_unequal_clusters_weigh_by_their_items():
    got = cluster_bootstrap_mean([1.0, 1.0, 1.0, 0.0], ["x", "x", "x", "y"], seed=0, draws=500)
    assert got == (0.75, 0.0, 1.0)


def test_one_cluster_tells_nothing_of_the_spread():
    assert paired_bootstrap([0.0, 0.0], [1.0, 1.0], ["g", "g"], seed=0) == (1.0, -math.inf, math.inf)


def test_bootstrap_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for i in range(300):
        values = rng.normal(size=60)
        got = cluster_bootstrap_mean(values, None, seed=i, draws=400)
        hits += got.low <= 0 <= got.high
    assert 0.90 <= hits / 300 <= 0.98


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.integers(0, 99))
def test_bootstrap_is_reproducible_and_turns_with_its_sign(values, seed):
    zeros = [0.0] * len(values)
    one = paired_bootstrap(zeros, values, seed=seed, draws=50)
    assert one == paired_bootstrap(zeros, values, seed=seed, draws=50)
    back = paired_bootstrap(values, zeros, seed=seed, draws=50)
    assert (-back.value, -back.high, -back.low) == pytest.approx(one, abs=1e-9)


def test_holm_on_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p, alpha):
    adjusted = holm(p)
    assert all(q <= r <= 1 for q, r in zip(p, adjusted, strict=True))
    order, rejected = sorted(range(len(p)), key=lambda i: p[i]), set()
    for rank, i in enumerate(order):
        if (len(p) - rank) * p[i] > alpha:
            break
        rejected.add(i)
    assert {i for i, q in enumerate(adjusted) if q <= alpha} == rejected


# Sample sizes an arm at 80% power and 5% two-sided, without continuity correction, as tabulated in textbooks.
@pytest.mark.parametrize("n, base, difference", [(199, 0.10, 0.10), (356, 0.30, 0.10), (388, 0.50, 0.10)])
def test_detectable_difference_matches_tabulated_sample_sizes(n, base, difference):
    assert minimum_detectable_difference(n, base) == pytest.approx(difference, abs=3e-4)


def test_detectable_difference_shrinks_with_n_and_mirrors():
    some = [minimum_detectable_difference(n, 0.2) for n in (50, 100, 200, 400)]
    assert some == sorted(some, reverse=True)
    assert minimum_detectable_difference(100, 0.8) == pytest.approx(minimum_detectable_difference(100, 0.2))
    assert math.isnan(minimum_detectable_difference(2, 0.5))


def test_detectable_difference_is_detected_as_often_as_promised():
    n, base = 300, 0.3
    d = minimum_detectable_difference(n, base)
    rng = np.random.default_rng(0)
    x, y = rng.binomial(n, base, 20_000) / n, rng.binomial(n, base + d, 20_000) / n
    pooled = (x + y) / 2
    found = np.abs(y - x) / np.sqrt(2 * pooled * (1 - pooled) / n) > 1.959964
    assert found.mean() == pytest.approx(0.8, abs=0.015)


@given(st.integers(1, 60), st.floats(0.0, 1.0), st.sampled_from([0.05, 0.005]))
def test_no_difference_is_promised_that_the_paired_test_cannot_show(n, base, alpha):
    """By brute force: the change of some items one way, and of none the other, that first comes down to alpha."""
    found = paired_detectable_difference(n, base, alpha=alpha)
    shown = [k for k in range(1, n + 1) if mcnemar_exact(k, 0) <= alpha]
    if not shown:
        assert math.isnan(found)
    elif not math.isnan(found):
        assert found * n >= shown[0] - 1e-9
        assert found >= minimum_detectable_difference(n, base, alpha=alpha)


def test_of_many_items_the_paired_difference_is_that_of_the_formula():
    assert paired_detectable_difference(388, 0.5) == minimum_detectable_difference(388, 0.5)


@given(st.integers(1, 5000), st.floats(0.0, 1.0))
def test_items_needed_is_the_first_number_that_shows_the_difference(n, base):
    difference = minimum_detectable_difference(n, base)
    if not math.isnan(difference):
        needed = items_needed(min(1.0, difference * (1 + 1e-9)), base)
        assert needed <= n
        if needed > 1:
            assert not minimum_detectable_difference(needed - 1, base) <= difference


def test_items_needed_gives_tabulated_sample_sizes():
    assert [items_needed(0.1, base) for base in (0.1, 0.3, 0.5)] == [199, 356, 388]


# ---- clusters

YES_NO = st.lists(st.integers(0, 1), min_size=1, max_size=40)


@given(YES_NO, st.floats(0.5, 0.99))
def test_without_clusters_the_clustered_rate_is_wilsons(hits, confidence):
    assert clustered_rate(hits, range(len(hits)), confidence) == wilson(sum(hits), len(hits), confidence)


@given(YES_NO, st.integers(2, 5))
def test_copies_of_an_answer_make_no_rate_surer(hits, copies):
    labels = [i for i in range(len(hits)) for _ in range(copies)]
    got = clustered_rate([hit for hit in hits for _ in range(copies)], labels)
    once = wilson(sum(hits), len(hits))
    if len(hits) == 1:
        assert got == (hits[0], 0, 1)
        return
    assert got.value == pytest.approx(once.value)
    # The sample variance has k - 1 below the line, so copies make it a little wider than once.
    worth = len(hits) - 1 if 0 < once.value < 1 else len(hits)
    assert got == pytest.approx(score_interval(once.value, worth), abs=1e-9)
    assert got.low <= once.low + 1e-12 and got.high >= once.high - 1e-12


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=60))
def test_clusters_never_make_a_rate_surer_than_independent_items(rows):
    hits, clusters = zip(*rows, strict=True)
    got, apart = clustered_rate(hits, clusters), wilson(sum(hits), len(hits))
    assert got.high - got.low >= apart.high - apart.low - 1e-12
    assert 0 <= got.low <= got.value <= got.high <= 1


def test_nothing_seen_in_ten_clusters_is_no_surer_than_ten_items():
    labels = [i // 8 for i in range(80)]
    assert clustered_rate([0] * 80, labels) == pytest.approx(wilson(0, 10), abs=1e-12)
    assert cluster_bootstrap_mean([0.0] * 80, labels, seed=0) == (0, 0, 0)  # which is why a rate does not use it


def test_a_clustered_rate_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    labels = np.repeat(range(40), 5)
    covered = naive = 0
    for _ in range(400):
        hits = rng.random(200) < np.repeat(rng.beta(0.6, 1.4, 40), 5)  # clusters differ much around 0.3
        got, apart = clustered_rate(hits, labels), wilson(int(hits.sum()), 200)
        covered += got.low <= 0.3 <= got.high
        naive += apart.low <= 0.3 <= apart.high
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.88


def test_effective_n():
    assert effective_n("abcd") == 4
    assert effective_n("aabb") == 2
    assert effective_n("aaab") == pytest.approx(16 / 10)
    assert effective_n("") == 0


@given(st.lists(st.integers(-1, 1), max_size=40))
def test_without_clusters_the_paired_test_is_mcnemars(changes):
    expected = mcnemar_exact(changes.count(1), changes.count(-1))
    assert mcnemar_clustered(changes, range(len(changes))) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_clustered_paired_test_by_flipping_every_sign(rows):
    changes, clusters = zip(*rows, strict=True)
    net = [sum(c for c, k in rows if k == cluster) for cluster in set(clusters)]
    flips = [
        sum(s * t for s, t in zip(signs, net, strict=True)) for signs in itertools.product((1, -1), repeat=len(net))
    ]
    share = sum(abs(flip) >= abs(sum(changes)) for flip in flips) / len(flips)
    assert mcnemar_clustered(changes, clusters) == pytest.approx(share, rel=1e-9)


def test_ten_copies_of_one_change_prove_nothing():
    assert mcnemar_exact(10, 0) < 0.01
    assert mcnemar_clustered([1] * 10, ["goal"] * 10) == 1
    assert mcnemar_clustered([], []) == 1


def test_a_large_clustered_test_stays_a_chance():
    rng = np.random.default_rng(0)
    p = mcnemar_clustered(rng.integers(-1, 2, 6000), np.repeat(range(2000), 3).tolist())
    assert 0 <= p <= 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(3, 2),
        lambda: wilson(-1, 2),
        lambda: wilson(1, 2, 1.0),
        lambda: mcnemar_exact(-1, 2),
        lambda: mcnemar_exact(0.5, 2),  # type: ignore[arg-type]
        lambda: paired_bootstrap([1.0], [1.0, 2.0], seed=0),
        lambda: paired_bootstrap([], [], seed=0),
        lambda: paired_bootstrap([math.nan], [1.0], seed=0),
        lambda: paired_bootstrap([1.0], [1.0], ["a", "b"], seed=0),
        lambda: cluster_bootstrap_mean([1.0, 2.0], None, seed=0, draws=0),
        lambda: holm([0.5, 1.2]),
        lambda: holm([math.nan]),
        lambda: minimum_detectable_difference(0, 0.5),
        lambda: minimum_detectable_difference(10, 1.5),
        lambda: minimum_detectable_difference(10, 0.5, power=1.0),
        lambda: items_needed(0.0, 0.5),
        lambda: clustered_rate([1.0, 0.0], ["a"]),
        lambda: mcnemar_clustered([2, 1], "ab"),
    ],
)
def test_bad_input_is_told_in_one_line(call):
    with pytest.raises(ValueError) as told:
        call()
    assert str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("n", [1, 5, 6, 19])
def test_the_exact_interval_leaves_out_a_half_where_mcnemar_rejects_it(n: int) -> None:
    for k in range(n + 1):
        made = exact_interval(k, n)
        assert 0 <= made.low <= k / n <= made.high <= 1
        assert (not made.low <= 0.5 <= made.high) == (mcnemar_exact(k, n - k) <= 0.05)


def test_the_exact_interval_is_clopper_and_pearsons() -> None:
    assert exact_interval(0, 10) == pytest.approx((0, 0, 1 - 0.025**0.1))
    assert exact_interval(10, 10) == pytest.approx((1, 0.025**0.1, 1))
    assert exact_interval(4, 12) == pytest.approx((1 / 3, 0.0992461, 0.6511245), abs=1e-6)
