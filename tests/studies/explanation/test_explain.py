"""An explanation on a tiny model: the table's arithmetic, what is matched, and what can't be told."""

from dataclasses import replace

import pytest
import torch

from clampdown.engine.request import Question
from clampdown.engine.scoring import LocalScorer
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.likelihood import text_nats
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.studies.explanation import losses
from clampdown.studies.explanation.divide import fall, variants
from clampdown.studies.explanation.explain import calibrated, explain, sized
from clampdown.studies.explanation.from_last import FromLast, begins_late
from clampdown.studies.explanation.inputs import material
from clampdown.studies.explanation.losses import margin, outcomes
from clampdown.studies.explanation.options import ExplainOptions
from clampdown.studies.explanation.page import render_page
from clampdown.studies.explanation.shares import sentences, shares
from clampdown.studies.explanation.stretch import stretching
from clampdown.studies.explanation.variants import parted, rescaled
from clampdown.writing import json_text

FEW = ExplainOptions(questions=6, passages=2, passage_tokens=20, draws=2, latents=16)


@pytest.fixture(scope="module")
def sae(make_sae, tmp_path_factory):
    path = tmp_path_factory.mktemp("saes") / "one.safetensors"
    save_sae(make_sae("topk", layer=1), path)
    return load_sae(str(path))


@pytest.fixture(scope="module")
def later(make_sae, tmp_path_factory):
    path = tmp_path_factory.mktemp("saes") / "two.safetensors"
    save_sae(make_sae("topk", layer=2, seed=4), path)
    return load_sae(str(path))


@pytest.fixture(scope="module")
def clamp(tiny, sae):
    edit = Clamp(sae.name, sae.sha256, 1, {3: 9.0, 40: 7.0})
    return Recipe("clamp", "tiny", tiny.sha256, (edit,), Positions(prompt="all", generated=3))


@pytest.fixture(scope="module")
def direction(tiny):
    return Recipe("direction", "tiny", tiny.sha256, (Direction(1, 9.0, seed=8),), Positions(prompt="last"))


@pytest.fixture(scope="module")
def told(tiny, clamp, later):
    return explain(tiny, clamp, FEW, saes=[later]).to_dict()


def test_the_table_has_every_push_and_is_json(told):
    assert told["schema"] == "clampdown-explanation/1"
    names = [row["name"] for row in told["variants"]]
    expected = ["reconstruction", "longer", "shorter", "random", "latents", "edit", "edit-prompt", "edit-answer"]
    assert [name for name in names if name != "innocent"] == [n for n in expected if n in names or n != "shorter"]
    for row in told["variants"]:
        assert set(row["margin_fall"]) == {"value", "low", "high", "n"} and row["margin_fall"]["n"] == 6
    assert told["correlation"] is None and told["predictors"] is None and told["survey"] is None
    json_text(told)


def test_a_matched_push_is_as_long_as_the_edit_on_every_token(tiny, clamp, sae):
    sizes, calibration = sized(tiny, clamp, 0), calibrated(tiny, clamp, 0)
    found = variants(tiny, clamp, sizes, sae, _firing(tiny, sae), FEW)
    target = calibration.mean_norm(clamp.edits)
    assert sizes.delta[1] == pytest.approx(target)
    for variant in found:
        looked = calibrated(tiny, clamp, 0, saes=variant.saes)
        for recipe in variant.recipes:
            length = looked.deltas(1, recipe.edits).norm(dim=-1)
            if variant.matched:
                assert float(length.mean()) == pytest.approx(target, rel=1e-4), variant.name
            if variant.name in ("random", "latents", "innocent"):
                assert float(length.max() - length.min()) < 1e-4 * target


def test_the_edit_on_the_prompt_and_on_the_answer_are_the_edit(told):
    rows = {row["name"]: row for row in told["variants"]}
    parts = rows["edit-prompt"]["tokens_edited"], rows["edit-answer"]["tokens_edited"]
    assert min(parts) > 0 and sum(parts) == rows["edit"]["tokens_edited"]
    assert rows["edit-prompt"]["kl"] is None and rows["edit-answer"]["kl"] == rows["edit"]["kl"]


@pytest.mark.parametrize("window", [Positions(prompt="none", generated=4), Positions(prompt="user", generated="none")])
def test_a_window_of_one_part_is_not_parted(clamp, window):
    assert parted(replace(clamp, positions=window)) == []


def test_losses_are_those_that_the_scorer_gives(tiny, clamp):
    asked = material(tiny, "", FEW)
    plain, (steered,) = outcomes(tiny, [clamp], asked)
    questions = [Question(p, c) for p, c in zip(asked.prompts, asked.choices, strict=True)]
    for outcome, recipe in ((plain, None), (steered, clamp)):
        scores = LocalScorer(tiny).choices(questions, recipe)
        twin = [margin(own, item.answer) for own, item in zip(scores, asked.items, strict=True)]
        assert outcome.margins == pytest.approx(twin, abs=1e-2)
        texts = [tiny.tokenizer.decode(list(row)) for row in asked.passages]
        assert outcome.nats == pytest.approx([nats for nats, _ in text_nats(tiny, texts, recipe)], rel=1e-4)
    assert plain.kl == [0.0, 0.0] and min(steered.kl) > 0
    assert fall(plain, steered) == [a - b for a, b in zip(plain.margins, steered.margins, strict=True)]


def test_a_recipe_that_does_nothing_costs_nothing(tiny, clamp):
    still = replace(clamp, edits=(Direction(1, 0.0, seed=1),))
    plain, (same,) = outcomes(tiny, [still], material(tiny, "", FEW))
    assert same.margins == pytest.approx(plain.margins, abs=1e-4) and same.right == plain.right
    assert same.kl == pytest.approx([0.0, 0.0], abs=1e-4)


def test_stretching_multiplies_the_residual(tiny, clamp):
    x = torch.randn(5, tiny.d_model, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(stretching(1, tiny.d_model, 1.25).reconstruct(x), 1.25 * x)
    sizes = sized(tiny, clamp, 0)
    huge = replace(sizes, delta={1: 2 * sizes.residual[1]})
    assert [variant.name for variant in rescaled(clamp, huge, tiny.d_model)] == ["longer"]


def test_latents_change_downstream_where_an_sae_lies_further_up(told, later):
    own, above = sorted(told["latents"], key=lambda found: found["layer"])
    assert not own["downstream"] and above["downstream"] and above["sae"] == later.name
    named = {one["latent"] for one in own["latents"]}
    assert {3, 40} <= named
    assert all(abs(one["after"] - one["before"]) > 0 for one in above["latents"][:1])
    assert not any("downstream can't be told" in note for note in told["notes"])


def test_a_direction_without_an_sae_is_explained_and_says_what_it_lacks(tiny, direction):
    body = explain(tiny, direction, FEW).to_dict()
    names = [row["name"] for row in body["variants"]]
    assert "random" in names and "edit" in names and "reconstruction" not in names and "latents" not in names
    assert body["sae"] is None and body["latents"] == []
    assert any("--sae" in note for note in body["notes"]) and any("downstream" in note for note in body["notes"])
    render_page(body)


def test_a_direction_is_told_by_an_sae_of_its_layer(tiny, direction, sae):
    body = explain(tiny, direction, FEW, saes=[sae]).to_dict()
    assert body["sae"]["sha256"] == sae.sha256
    assert {"reconstruction", "latents"} <= {row["name"] for row in body["variants"]}


def test_edits_at_two_layers_are_matched_at_each(tiny, clamp):
    two = replace(clamp, edits=(*clamp.edits, Direction(2, 5.0, seed=2)))
    body = explain(tiny, two, FEW).to_dict()
    assert body["recipe"]["layers"] == [1, 2] and body["size"]["delta"][1] == pytest.approx(5.0, rel=1e-4)
    assert "reconstruction" not in {row["name"] for row in body["variants"]}
    assert any("several layers" in note for note in body["notes"])


def test_letters_are_counted_of_every_question(told):
    letters = told["letters"]
    for key in ("right", "before", "after"):
        assert sum(letters[key].values()) == letters["n"] == 6
    assert 0 < letters["mass_after"] <= 1


@pytest.mark.parametrize(
    "change,words",
    [
        ({"edits": ()}, ("clamp", "edits nothing")),
        ({"model_sha256": "0" * 64}, ("was made for",)),
        ({"edits": (Direction(1, 0.0, seed=1),)}, ("nothing",)),
    ],
)
def test_what_can_not_be_explained_is_one_line(tiny, clamp, one_line, change, words):
    with pytest.raises(ClampdownError) as caught:
        explain(tiny, replace(clamp, **change), FEW)
    one_line(caught, *words)


def test_an_sae_that_does_not_fit_is_one_line(tiny, clamp, direction, make_sae, one_line):
    for given, words in (
        (make_sae(layer=0, name="low"), ("low", "below layer 1")),
        (make_sae(layer=9, name="high"), ("high", "layer 9")),
        (make_sae(d=16, name="thin"), ("thin", "width 16")),
    ):
        with pytest.raises(ClampdownError) as caught:
            explain(tiny, direction, FEW, saes=[given])
        one_line(caught, *words)
    with pytest.raises(ClampdownError) as caught:
        explain(tiny, direction, FEW, surveyed=True)
    one_line(caught, "survey", "--sae")


@pytest.mark.parametrize("change", [{"questions": 1}, {"draws": 0}, {"latents": 3}, {"seed": -1}, {"passages": 1.5}])
def test_sizes_are_checked(change):
    with pytest.raises(ClampdownError, match=next(iter(change))):
        ExplainOptions(**change)


def test_shares_are_of_the_edits_loss_and_none_where_that_may_be_nothing():
    def row(name, value, low):
        told = {"value": value, "low": low, "high": value + 1, "n": 9}
        row = {"name": name, "margin_fall": told, "accuracy_change": told, "relative_norm": 0.1}
        return row | ({"beyond_random": {**told, "low": low - 0.8}} if name == "edit" else {})

    rows = [row("random", 0.5, 0.1), row("edit", 2.0, 1.0), row("edit-prompt", 1.5, 1), row("edit-answer", 0.4, 0)]
    assert shares(rows) == {"random": 0.25, "edit-prompt": 0.75, "edit-answer": 0.2}
    assert any("75%" in line and "95%" in line for line in sentences(rows))
    assert any("this direction's own" in line for line in sentences(rows))
    rows[1]["beyond_random"]["low"] = -0.1
    assert any("may be nothing" in line for line in sentences(rows))
    assert shares([row("random", 0.5, 0.1), row("edit", 0.2, -0.1)]) == {}
    assert "nothing to divide" in sentences([row("random", 0.5, 0.1), row("edit", 0.2, -0.1)])[-1]


def test_the_page_is_whole_and_escapes_what_others_wrote(told):
    hostile = {
        **told,
        "first_tokens": {**told["first_tokens"], "gain": [{"token": "<script>", "before": 0.1, "after": 0.2}]},
    }
    page = render_page(hostile)
    assert "&lt;script&gt;" in page and "<script" not in page and "http" not in page.replace("http-equiv", "")
    with pytest.raises(ValueError, match="clampdown-explanation/1"):
        render_page({"schema": "another"})


def _firing(tiny, sae):
    from clampdown.studies.explanation.activations import Firing, Ordinary

    return Firing.of(sae, Ordinary.read(tiny, sae.layer, 0, None))


def test_what_is_read_once_for_all_gives_what_whole_runs_do(tiny, direction):
    asked = material(tiny, "", FEW)
    recipes = [direction, *parted(direction)[0].recipes, *parted(direction)[1].recipes]
    assert begins_late(tiny, recipes, asked)
    assert not begins_late(tiny, [*recipes, replace(direction, positions=Positions())], asked)
    late = FromLast(tiny, 1, asked)
    for recipe, (scores, receipt) in zip(
        [None, *recipes], losses._swept(tiny, [None, *recipes], asked, ()), strict=True
    ):
        told, taken = late.under(recipe)
        for own, twin in zip(told, scores, strict=True):
            assert own == pytest.approx(twin, abs=1e-2)
        assert taken.tokens_edited == receipt.tokens_edited
        assert taken.relative_norm == pytest.approx(receipt.relative_norm, rel=1e-4)
