"""What is told of a study before it runs: the very arms, the work, and what n can tell."""

from dataclasses import replace

import pytest

from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.measuring.statistics.rates import mcnemar_exact, minimum_detectable_difference
from clampdown.recipe import Direction, Recipe
from clampdown.studies.arms import build_arms
from clampdown.studies.plan import Plan
from clampdown.studies.power import dry_run, planned_arms, power_lines

PLAN = Plan(factors=(0.5, 1.0), rules=("delta", "reconstruct"), strengths=(0.5, 1.0), max_new_tokens=10)


def a_set(name, kind, n, cluster=lambda i: i):
    return ItemSet(name, kind, "", "", tuple(Item(f"{i}", "x" * 40, "", f"{cluster(i)}") for i in range(n)))


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, rules=(), arms=("none", "clamp", "random-latents"))])
def test_the_arms_are_those_that_a_study_builds(model, recipe, plan):
    for asked in (recipe, Recipe("one way", model.name, model.sha256, (Direction(1, 2.0, seed=1),))):
        built = [{"name": arm.name, "draws": len(arm.recipes)} for arm in build_arms(model, asked, plan)]
        assert planned_arms(asked, plan) == built


def test_power_is_told_for_two_arms_and_for_all(recipe):
    told = dry_run(recipe, PLAN, [a_set("big", "unsafe", 400), a_set("small", "safe", 30), a_set("t", "text", 5)])
    big, small, text = told["sets"]
    assert big["difference"] == minimum_detectable_difference(400, 0.5) < 0.10
    compared = len(told["arms"]) - 1
    assert big["corrected"] == minimum_detectable_difference(400, 0.5, alpha=0.05 / compared) > big["difference"]
    assert small["difference"] > 0.10 and small["needed"] == 141
    assert (text["n"], text["base"], text["difference"]) == (5, None, None)
    assert len(told["warnings"]) == 1 and "small (30 items)" in told["warnings"][0]


def test_items_that_share_a_goal_count_once(recipe):
    told = dry_run(recipe, PLAN, [a_set("s", "unsafe", 400, lambda i: i // 10)])["sets"][0]
    assert (told["n"], told["clusters"]) == (400, 40)
    assert told["difference"] == minimum_detectable_difference(40, 0.5)


def test_one_goal_can_tell_nothing(recipe):
    told = dry_run(recipe, PLAN, [a_set("s", "unsafe", 9, lambda _: 0)])
    assert told["sets"][0]["difference"] is None and "no difference at all" in told["warnings"][0]
    assert "–" in power_lines(told)[1]


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("kind", ["unsafe", "safe", "lookalike"])
def test_the_table_promises_nothing_that_the_warning_denies(recipe, kind, n):
    """Four safe items were said to tell 85 points in one line and no difference at all in another."""
    told = dry_run(recipe, replace(PLAN, arms=("none", "clamp"), factors=(1.0,), rules=()), [a_set("s", kind, n)])
    [row], [warning] = told["sets"], told["warnings"]
    assert not ("no difference at all" in warning and row["difference"] is not None)


@pytest.mark.parametrize("n", range(1, 40))
def test_what_is_said_of_a_small_set_is_true_at_every_rate(recipe, n):
    """By brute force: how many answers must change before McNemar's test, adjusted for the arms, comes to 5%."""
    plan = replace(PLAN, arms=("none", "clamp"), factors=(1.0, 2.0), rules=())
    told = dry_run(recipe, plan, [a_set("s", "unsafe", n)])
    [row], [warning], compared = told["sets"], told["warnings"], len(told["arms"]) - 1
    shown = [k for k in range(n + 1) if mcnemar_exact(k, 0) <= 0.05]
    corrected = [k for k in range(n + 1) if compared * mcnemar_exact(k, 0) <= 0.05]
    assert row["changed"] == {"two": min(shown, default=None), "all": min(corrected, default=None)}
    assert ("no difference at all" in warning) == (not shown)
    if shown:
        assert f"at least {min(shown)} must change" in warning and "if 50%" in warning
        assert ("among all arms none can" in warning) == (not corrected)


def test_work_is_counted_over_all_arms(recipe):
    plan = replace(PLAN, arms=("none", "clamp", "system-prompt"), rules=(), temperature=1.0, samples=3)
    sets = [a_set("u", "unsafe", 7), a_set("q", "capability", 5), a_set("t", "text", 2)]
    told = dry_run(recipe, plan, sets)
    assert len(told["arms"]) == 4
    assert told["work"] == {
        "answers": 4 * 7 * 3,
        "tokens_generated": 4 * 7 * 3 * 10,
        "questions": 4 * 5,
        "passages": 3 * 2,  # a system prompt is not measured on plain text
        "tokens_read": 4 * 7 * 3 * 10 + 4 * 5 * 10 + 3 * 2 * 10,
    }


def test_lines_say_what_is_assumed_and_warn(recipe):
    lines = power_lines(dry_run(recipe, PLAN, [a_set("a rather long name", "unsafe", 40)]))
    assert "two arms" in lines[0] and "40" in lines[1] and "29 points" in lines[1]
    assert any("unrelated" in line and "80% power" in line for line in lines)
    assert lines[-1].startswith("warning: a rather long name (40 items)") and "388" in lines[-1]
    assert all("\n" not in line for line in lines)
