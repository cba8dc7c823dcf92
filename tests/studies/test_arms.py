"""Arms: which there are, that controls push as hard as the clamp, and that draws differ."""

from dataclasses import replace

import pytest

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Direction, Recipe
from clampdown.studies.arms import Arm, build_arms, recommended_name
from clampdown.studies.calibration import Calibration, scale_to
from clampdown.studies.plan import Plan

PLAN = Plan(name="tiny")


@pytest.fixture(scope="module")
def arms(model, recipe) -> dict[str, Arm]:
    return {arm.name: arm for arm in build_arms(model, recipe, PLAN)}


def test_all_arms_are_there_none_first(arms):
    swept = [f"clamp-{f:g}" for f in PLAN.factors] + [f"difference-in-means-{s:g}" for s in PLAN.strengths]
    others = ["none", "sae-pass", "zeroed", "unrelated-latent", "random-latents", "random-directions", "system-prompt"]
    assert next(iter(arms)) == "none"
    assert set(arms) == {*swept, *others}


def test_recommended_arm_is_the_recipe_itself(arms, recipe):
    assert arms[recommended_name(recipe)].recipes == (recipe,)


@pytest.mark.parametrize("name", ["random-latents", "random-directions", "unrelated-latent"])
def test_controls_push_as_hard_as_the_clamp(arms, model, recipe, name):
    calibration = Calibration(model, recipe, PLAN.seed)
    target = calibration.mean_norm(recipe.edits)
    for drawn in arms[name].recipes:
        assert calibration.mean_norm(drawn.edits) == pytest.approx(target, rel=0.02)


def test_random_controls_have_different_draws_none_of_them_in_the_recipe(arms, recipe):
    latents = [tuple(r.edits[0].values) for r in arms["random-latents"].recipes]
    seeds = [r.edits[0].seed for r in arms["random-directions"].recipes]
    assert len(set(latents)) == len(set(seeds)) == PLAN.draws >= 5
    assert all(len(drawn) == 3 and not set(drawn) & set(recipe.edits[0].values) for drawn in latents)
    assert arms["random-latents"].recipe_for(PLAN.draws + 2) is arms["random-latents"].recipes[2]


def test_scaling_rules_and_zero(arms, model, recipe):
    assert arms["clamp-0.75"].recipes[0].edits[0].values == {3: 1.5, 40: 0.75, 77: 1.125}
    assert set(arms["zeroed"].recipes[0].edits[0].values.values()) == {0.0}
    assert arms["sae-pass"].recipes[0].edits[0] == replace(recipe.edits[0], values={}, rule="reconstruct")
    both = build_arms(model, recipe, replace(PLAN, rules=("delta", "reconstruct"), arms=("none", "clamp")))
    assert [a.name for a in both if a.name.startswith("clamp-1")] == [
        "clamp-1", "clamp-1.25", "clamp-1-reconstruct", "clamp-1.25-reconstruct"
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["at-least", "multiply"])
def test_arms_of_a_clamp_that_does_not_set(operation, model, recipe):
    """The same operation at other values; but latents at zero, an SAE pass and a control's one latent are those."""
    [clamp] = recipe.edits
    values = dict.fromkeys(clamp.values, 3.0)
    own = replace(recipe, edits=(replace(clamp, values=values, operation=operation),))
    plan = replace(PLAN, values=(5.0,), arms=("none", "clamp", "zeroed", "sae-pass", "unrelated-latent"))
    found = {arm.name: arm for arm in build_arms(model, own, plan)}
    for name in ("clamp-1", "clamp-0.75", "clamp-at-5"):
        assert found[name].recipes[0].edits[0].operation == operation
        assert f", {operation}" in found["clamp-1"].description
    assert found["clamp-0.75"].recipes[0].edits[0].values == {k: 2.25 for k in values}
    assert found["zeroed"].recipes[0].edits[0] == replace(clamp, values=dict.fromkeys(values, 0.0))
    assert found["sae-pass"].recipes[0].edits[0] == replace(clamp, values={}, rule="reconstruct")
    assert found["unrelated-latent"].recipes[0].edits[0].operation == "set"


def test_values_are_swept_in_the_saes_own_units(model, recipe):
    plan = replace(PLAN, values=(4.0, 12.0), rules=("reconstruct",), arms=("none", "clamp"))
    swept = {arm.name: arm for arm in build_arms(model, recipe, plan)}
    assert swept["clamp-at-12"].recipes[0].edits[0] == replace(recipe.edits[0], values={3: 12.0, 40: 12.0, 77: 12.0})
    assert swept["clamp-at-4-reconstruct"].recipes[0].edits[0].rule == "reconstruct"
    assert len({arm.recipes[0].sha256 for arm in swept.values() if arm.recipes[0]}) == len(swept) - 1


def test_arms_survive_plain_data(arms):
    for arm in arms.values():
        again = Arm.from_dict(arm.to_dict())
        assert again == arm
        assert [r and r.sha256 for r in again.recipes] == [r and r.sha256 for r in arm.recipes]


def test_a_pure_direction_has_the_arms_that_make_sense(model):
    recipe = Recipe("pointed", model.name, model.sha256, (Direction(1, 3.0, seed=5),))
    names = [arm.name for arm in build_arms(model, recipe, PLAN)]
    assert recommended_name(recipe) in names and "random-directions" in names
    assert not {"sae-pass", "zeroed", "random-latents", "unrelated-latent"} & set(names)


def test_several_layers_are_scaled_and_matched_together(model, recipe):
    two = replace(recipe, edits=(*recipe.edits, Direction(2, 1.0, seed=9)))
    arms = {arm.name: arm for arm in build_arms(model, two, PLAN)}
    assert arms["clamp-0.75"].recipes[0].edits[1] == two.edits[1]
    calibration = Calibration(model, two, PLAN.seed)
    for drawn in arms["random-directions"].recipes:
        assert [edit.layer for edit in drawn.edits] == [1, 2]
        assert calibration.mean_norm(drawn.edits) == pytest.approx(calibration.mean_norm(two.edits), rel=0.02)


def test_a_recipe_that_does_nothing_is_refused(model, recipe):
    with pytest.raises(ClampdownError, match="no edits"):
        build_arms(model, replace(recipe, edits=()), PLAN)
    with pytest.raises(ClampdownError, match="changes nothing"):
        build_arms(model, replace(recipe, edits=(Direction(1, 0.0, seed=1),)), PLAN)


def test_too_few_living_latents_is_one_clear_line(model, recipe):
    most = {latent: 1.0 for latent in range(95)}
    clamp = recipe.edits[0]
    assert isinstance(clamp, Clamp)
    with pytest.raises(ClampdownError, match="living latents"):
        build_arms(model, replace(recipe, edits=(replace(clamp, values=most),)), PLAN)


@pytest.mark.parametrize("floor", [0.0, 0.5, 0.999])
def test_scale_to_finds_the_crossing_of_a_convex_norm(floor):
    scale = scale_to(lambda s: (floor**2 + (3 * s - 0.1) ** 2) ** 0.5, 1.2)
    assert (floor**2 + (3 * scale - 0.1) ** 2) ** 0.5 == pytest.approx(1.2, rel=0.01)


def test_scale_to_gives_up_where_nothing_can_match():
    assert scale_to(lambda s: 2 + s, 1.0) is None
    assert scale_to(lambda s: 0.5, 1.0) is None
