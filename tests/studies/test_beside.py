"""The clamp that comes along stands beside a recipe for the same model that clamps nothing, and beside no other."""

from dataclasses import replace

import pytest

from clampdown import default_recipe
from clampdown.recipe.bundled import CLAMP, REFUSAL, bundled_path
from clampdown.recipe.recipe import Recipe
from clampdown.studies.arms import build_arms
from clampdown.studies.beside import clamp_beside
from clampdown.studies.plan import Plan
from clampdown.studies.power import planned_arms

PLAN = Plan(arms=("none", "clamp", "latents"), factors=(1.0,))


def test_it_is_the_recipe_that_comes_along_behind_the_very_same_gate():
    recipe = default_recipe()
    assert clamp_beside(recipe) == replace(Recipe.load(bundled_path(CLAMP)), name=REFUSAL)
    assert clamp_beside(replace(recipe, gate=None)) == Recipe.load(bundled_path(REFUSAL))


@pytest.mark.parametrize("gated", [True, False])
def test_a_study_of_the_default_recipe_has_it_and_says_so_before(bundled, gated):
    recipe = default_recipe() if gated else replace(default_recipe(), gate=None)
    arms = build_arms(bundled, recipe, PLAN)
    assert [arm.name for arm in arms] == [told["name"] for told in planned_arms(recipe, PLAN)]
    beside = {arm.name: arm for arm in arms if arm.label.startswith("SAE clamp")}
    assert list(beside) == (["clamp-1-gated", "clamp-1"] if gated else ["clamp-1"])
    for arm in beside.values():
        [own] = arm.recipes
        assert own.clamps == Recipe.load(bundled_path(REFUSAL)).clamps
    if gated:
        assert beside["clamp-1-gated"].recipes[0].gate == recipe.gate
        assert beside["clamp-1"].recipes[0].gate.decide == "open"


def test_no_other_recipe_has_it():
    for name in (CLAMP, REFUSAL):
        assert clamp_beside(Recipe.load(bundled_path(name))) is None
    assert clamp_beside(replace(default_recipe(), model_sha256="0" * 64)) is None
    assert clamp_beside(replace(default_recipe(), model="another")) is None
