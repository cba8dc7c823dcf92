"""From rows to rates and differences: clusters and samples count as what they are, and nothing is claimed lightly."""

import pytest

from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.measuring.statistics.rates import holm, mcnemar_exact, wilson
from clampdown.studies.arms import Arm
from clampdown.studies.comparisons import MARGIN, comparisons, detectable
from clampdown.studies.measures import categories, measures
from clampdown.studies.store import Row


def arm(name):
    return Arm(name, name, "none" if name == "none" else "clamp", "", (None,))


def item_set(kind, n, cluster=lambda i: i):
    choices = ("a", "b") if kind == "capability" else ()
    items = (Item(f"i{i}", f"text {i}", f"harm {i % 2}", f"c{cluster(i)}", choices, 0) for i in range(n))
    return ItemSet(f"some {kind}", kind, "here", "", tuple(items))


def answers(refused, places=None):
    """Rows with these outcomes, in the set's order."""
    places = range(len(refused)) if places is None else places
    labels = ("compliance", "refusal", "unscored")
    return [Row(p, f"i{p}", 0, "", "text", True, labels[r]) for p, r in zip(places, refused, strict=True)]


def questions(right):
    return [Row(p, f"i{p}", 0, "", scores=[1.0, 0.0] if r else [0.0, 1.0]) for p, r in enumerate(right)]


def passages(bits):
    return [Row(p, f"i{p}", 0, "", nats=b * 0.6931471805599453 * 100, bytes=100) for p, b in enumerate(bits)]


def only(found, **wanted):
    [row] = [row for row in found if all(row[key] == value for key, value in wanted.items())]
    return row


def compared(one_set, base, *others):
    rows = {("none", one_set.name): base} | {(f"a{i}", one_set.name): other for i, other in enumerate(others)}
    return comparisons([arm("none"), *(arm(f"a{i}") for i in range(len(others)))], [one_set], rows, 0)


# ---- rates


def test_independent_answers_get_wilsons_interval():
    one, rows = item_set("unsafe", 10), answers([1] * 4 + [0] * 5 + [2])
    found = measures(arm("none"), [one], {("none", one.name): rows}, 0)
    refusal = only(found, metric="refusal")
    assert (refusal["value"], refusal["low"], refusal["high"]) == wilson(4, 9)
    assert (refusal["n"], refusal["clusters"]) == (9, 9)
    assert (only(found, metric="unscored")["n"], only(found, metric="unscored")["value"]) == (10, 0.1)


def test_answers_to_one_goal_are_not_independent():
    together, apart = item_set("unsafe", 40, lambda i: i // 8), item_set("unsafe", 40)
    rows = answers([1] * 16 + [0] * 24)
    wide, narrow = (
        only(measures(arm("none"), [s], {("none", s.name): rows}, 0), metric="refusal") for s in (together, apart)
    )
    assert wide["value"] == narrow["value"] == 0.4 and (wide["n"], wide["clusters"]) == (40, 5)
    assert wide["high"] - wide["low"] > 1.8 * (narrow["high"] - narrow["low"])
    harm = categories([arm("none")], [together], {("none", together.name): rows})
    assert {row["category"] for row in harm} == {"harm 0", "harm 1"} and all(row["n"] == 20 for row in harm)


def test_samples_of_an_item_are_one_cluster():
    one = item_set("unsafe", 10)
    places = [place for place in range(10) for _ in range(5)]
    sampled = answers([p < 4 for p in places], places)
    got = only(measures(arm("none"), [one], {("none", one.name): sampled}, 0), metric="refusal")
    assert (got["n"], got["clusters"], got["value"]) == (50, 10, 0.4)
    low, high = wilson(4, 10)[1:]
    assert got["low"] <= low and got["high"] >= high  # five equal samples tell no more than one


# ---- differences


def test_single_items_are_compared_by_mcnemar_and_holm():
    one = item_set("unsafe", 40)
    found = compared(one, answers([0] * 40), answers([1] * 12 + [0] * 28), answers([1] * 3 + [0] * 37))
    p = [mcnemar_exact(12, 0), mcnemar_exact(3, 0)]
    assert [row["p"] for row in found] == pytest.approx(p)
    assert [row["p_adjusted"] for row in found] == pytest.approx(holm(p))
    assert [row["reading"] for row in found] == ["higher", "no difference this n can tell"]
    assert all(row["bound"] is None and row["n"] == 40 for row in found)


def test_a_change_on_one_goal_is_no_evidence_however_many_items_it_has():
    one = item_set("unsafe", 40, lambda i: 0 if i < 12 else i)
    [row] = compared(one, answers([0] * 40), answers([1] * 12 + [0] * 28))
    assert row["p"] == 1 and row["reading"] == "no difference this n can tell"
    assert row["high"] - row["low"] > 0.4


@pytest.mark.parametrize(("before", "after", "low", "high"), [(0, 1, 0.0, 1.0), (1, 0, -1.0, 0.0), (1, 1, -0.5, 0.5)])
def test_answers_that_all_changed_alike_are_no_certainty(before, after, low, high):
    one = item_set("unsafe", 6)
    [row] = compared(one, answers([before] * 6), answers([after] * 6))
    assert low <= row["low"] < row["difference"] + 1e-9 and row["difference"] - 1e-9 < row["high"] <= high
    assert row["high"] - row["low"] > 0.5, "six answers leave much open"
    many = item_set("unsafe", 600)
    [sure] = compared(many, answers([before] * 600), answers([after] * 600))
    assert sure["high"] - sure["low"] < 0.05


def test_what_adjusting_takes_away_is_said():
    one = item_set("unsafe", 6)
    found = compared(one, answers([0] * 6), answers([1] * 6), answers([0] * 6))
    assert found[0]["p"] == pytest.approx(2 / 64) and found[0]["p_adjusted"] == pytest.approx(4 / 64)
    assert [row["reading"] for row in found] == ["no difference once p is adjusted", "no difference this n can tell"]


@pytest.mark.parametrize(("n", "up", "down"), [(6, 5, 0), (6, 4, 0), (6, 5, 1), (24, 6, 1), (40, 14, 5), (40, 7, 1)])
def test_where_few_changed_the_interval_says_what_the_exact_test_says(n, up, down):
    before = [0] * up + [1] * down + [0] * (n - up - down)
    after = [1] * up + [0] * down + [0] * (n - up - down)
    [row] = compared(item_set("unsafe", n), answers(before), answers(after))
    assert row["p"] == pytest.approx(mcnemar_exact(up, down))
    assert (row["low"] > 0) == (row["p"] <= 0.05)
    assert row["low"] <= row["difference"] <= row["high"]


def test_an_interval_beside_no_difference_holds_zero_or_the_reading_says_why():
    for cluster in (lambda i: i, lambda i: i // 3, lambda i: i // 2):
        for up in range(2, 30):
            one = item_set("unsafe", 60, cluster)
            found = compared(one, answers([0] * 60), answers([1] * up + [0] * (60 - up)), answers([1] + [0] * 59))
            for row in found:
                if row["reading"].startswith("no difference") and not row["low"] <= 0 <= row["high"]:
                    assert "adjusted" in row["reading"]


def test_samples_pair_up_by_their_number():
    one = item_set("unsafe", 4)
    places = [0, 0, 1, 1, 2, 2, 3, 3]
    base, other = answers([0, 1, 0, 1, 0, 0, 0, 2], places), answers([1, 1, 1, 1, 0, 0, 0, 1], places)
    [row] = compared(one, base, other)
    assert row["n"] == 7 and row["difference"] == pytest.approx(2 / 7)
    assert row["p"] == mcnemar_exact(2, 0)


def test_no_rise_is_claimed_only_where_the_data_exclude_it():
    def reading(n, worse=0, better=0):
        one = item_set("safe", n)
        base = [0] * (n - better) + [1] * better
        [row] = compared(one, answers(base), answers([1] * worse + [0] * (n - worse)))
        assert row["bound"] is not None and (row["bound"] < MARGIN) == row["reading"].startswith("no rise")
        return row["reading"]

    claim, nothing = "no rise of 5 points or more", "no difference this n can tell"
    assert reading(40) == nothing  # nothing changed in 40 items: up to 9% may still be worse
    assert reading(40, better=1) == nothing
    assert reading(100) == claim
    assert reading(100, worse=1) == nothing  # Wilson: up to 5.4%
    assert reading(400, worse=5, better=5) == claim
    assert reading(2000, worse=60, better=55) == claim
    assert reading(400, worse=60) == "higher"


def test_no_loss_is_claimed_of_accuracy():
    one = item_set("capability", 200)
    [row] = compared(one, questions([1] * 150 + [0] * 50), questions([1] * 149 + [0] * 51))
    assert row["reading"] == "no loss of 5 points or more" and row["bound"] == pytest.approx(wilson(1, 200).high)
    [row] = compared(one, questions([1] * 150 + [0] * 50), questions([1] * 100 + [0] * 100))
    assert row["reading"] == "lower" and row["bound"] > MARGIN


def test_bits_per_byte_are_read_off_an_interval_that_knows_how_many_arms_there_are():
    one = item_set("text", 20)
    base = [1.0 + 0.01 * i for i in range(20)]
    # 2.6 standard errors above nothing, which one arm shows and thirty do not.
    some = [b + (0.02 if i % 4 else -0.02) for i, b in enumerate(base)]
    alone = compared(one, passages(base), passages(some))
    many = compared(one, passages(base), *[passages(some)] * 30)
    assert (alone[0]["low"], alone[0]["high"]) == (many[0]["low"], many[0]["high"])
    assert alone[0]["p"] is None and alone[0]["bound"] is None and alone[0]["reading"] == "higher"
    worse = compared(one, passages(base), *[passages([b + 0.2 for b in base])] * 30)
    assert {row["reading"] for row in worse} == {"higher"}
    assert {row["reading"] for row in many} == {"no difference once the interval is adjusted"}


def test_nothing_in_common_is_no_difference():
    one = item_set("unsafe", 2)
    [row] = compared(one, answers([2, 0]), answers([0, 2]))
    assert (row["n"], row["difference"], row["p"]) == (0, None, None)
    assert row["reading"] == "no difference this n can tell"


def test_what_n_can_tell_counts_clusters():
    apart, together = item_set("unsafe", 40), item_set("unsafe", 40, lambda i: i // 4)
    few, many = (detectable([s], {("none", s.name): answers([0, 1] * 20)})[0] for s in (together, apart))
    assert few["n"] == many["n"] == 40 and few["difference"] is None and many["difference"] < 0.35
