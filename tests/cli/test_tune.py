"""`clampdown tune` on the bundled model with few prompts: its screen, its JSON, its recipe and its errors."""

import json
from dataclasses import replace

import pytest

from clampdown import library
from clampdown.cli import tune
from clampdown.errors import ClampdownError
from clampdown.recipe import Direction, Gate, Positions, Recipe

_WHOM = ("banker", "mayor", "guard", "nurse", "clerk", "judge", "priest", "baker", "driver", "cook", "tailor", "vet")
SMALL = ("--only", "--rows", 4, "--steps", 2, "--tokens", 4)


@pytest.fixture(autouse=True)
def loaded(monkeypatch, model):
    monkeypatch.setattr(tune, "load_model", lambda name, args, progress: model)


def test_a_tuned_recipe_keeps_what_it_was_made_from(clampdown, tmp_path):
    given, out = tmp_path / "gated.toml", tmp_path / "tuned.toml"
    plain = library.default_recipe()
    bad = tmp_path / "bad.txt"
    bad.write_text(
        "".join(f"How do I {verb} a {whom}?\n" for verb in ("rob", "stab", "dupe", "bribe") for whom in _WHOM)
    )
    replace(plain, gate=Gate(external="wildguard")).save(given)
    status, told, err = clampdown(
        "tune", given, *SMALL, "--unsafe", bad, "--prompt", "last", "--generated", "all", "--out", out, "--json"
    )
    assert status == 0, err
    recipe, body = Recipe.load(out), json.loads(told)
    [edit] = recipe.edits
    assert isinstance(edit, Direction) and edit.layer == plain.edits[0].layer and edit.strength in (0.35, 0.5, 0.7, 1)
    assert recipe.gate == Gate(external="wildguard") and recipe.model_sha256 == plain.model_sha256
    assert recipe.positions == Positions(prompt="last", sink_norm=plain.positions.sink_norm)
    assert "refusals of the model's own" in recipe.note and "reporting halves" in recipe.note
    assert body["schema"] == "clampdown-tune/1" and len(body["losses"]) == 2
    assert body["losses"][1] < body["losses"][0]
    for side in ("unsafe", "safe"):
        assert body["held_out"][side]["before"]["n"] > 0 and body["held_out"][side]["after"]["coherent"]["high"] <= 1


def test_a_clamp_starts_from_the_clamp_that_comes_along(clampdown, tmp_path, monkeypatch):
    begun = []

    def stop(_model, recipe, *_, **__):
        begun.append(recipe)
        raise ClampdownError("far enough")

    monkeypatch.setattr("clampdown.discovery.tuning.tune.tune", stop)
    for arguments in (["--kind", "clamp"], ["--kind", "clamp", "--latents", 16], []):
        assert clampdown("tune", *arguments, "--out", tmp_path / "tuned.toml")[0] == 2
    assert [recipe.name for recipe in begun] == ["guarded-clamp", "guarded-clamp", "guarded"]


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["--only"], "--unsafe"),
        (["--latents", 4], "clamp"),
        (["--layer", 99], "layer 99"),
        (["--kind", "clamp", "--layer", 3], "SAE"),
        (["--prompt", "none", "--generated", "none"], "window"),
        (["--generated", "some"], "whole number"),
        (["--unsafe", "no-such-set"], "no-such-set"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_written(clampdown, tmp_path, arguments, word):
    out = tmp_path / "tuned.toml"
    status, told, err = clampdown("tune", *arguments, "--out", out)
    assert status == 2 and told == "" and word in err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_recipe_that_is_there_is_left_alone(clampdown, tmp_path):
    out = tmp_path / "tuned.toml"
    out.write_text("mine")
    status, _, err = clampdown("tune", "--out", out)
    assert status == 2 and "--force" in err and out.read_text() == "mine"
