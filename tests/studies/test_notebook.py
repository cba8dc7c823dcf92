"""A notebook shows an answer by what a latent makes of it, and a study by its frontier; hostile text stays text."""

import pickle
from dataclasses import replace

import pytest
import synthetic
from markupsafe import escape
from test_report import Page

import clampdown
from clampdown.engine.request import Answer
from clampdown.library import Model
from clampdown.steering.receipt import Receipt
from clampdown.studies.notebook import StudyResults, tinted


@pytest.fixture(scope="module")
def recipe(recipe):
    """It clamps all latents of the SAE, so that some fire in any text."""
    return replace(recipe, edits=(replace(recipe.clamps[0], values={latent: 1.0 for latent in range(96)}),))


@pytest.fixture(scope="module")
def answer(model, recipe):
    return Model(model).generate("Say something.", recipe, max_new_tokens=6)


def test_an_answers_tokens_are_tinted_by_a_latent_that_the_recipe_clamps(model, recipe, answer):
    page = Page(html := answer._repr_html_())
    assert not page.stack and not [t for t, _ in page.elements if t in ("script", "img", "link")]
    prompt = model.prompt_ids("Say something.")
    latent, tokens = tinted(answer, model, prompt, recipe)
    assert latent in recipe.clamps[0].values and f"Tinted by latent {latent}" in html
    assert "".join(token.text for token in tokens) == answer.text
    assert max(token.strength for token in tokens) <= 1 and len(tokens) == len(answer.ids)
    assert html.count("<mark") == sum(token.strength > 0 for token in tokens) > 0
    assert max(token.strength for token in tokens) == 1


def test_while_the_model_is_steered_nothing_is_tinted(model, recipe, answer):
    before = answer._repr_html_()
    with Model(model).steered(recipe):
        shown = answer._repr_html_()
    assert "<mark" not in shown and "Tinted" not in shown and escape(answer.text) in shown
    assert answer._repr_html_() == before and "<mark" in before


def test_an_answer_without_a_recipe_is_shown_as_it_is(model):
    said = Model(model).generate("Say something.", max_new_tokens=3)
    assert "Not steered" in said._repr_html_() and "<mark" not in said._repr_html_()


def test_text_of_an_answer_is_escaped(answer):
    hostile = "<script>x</script>"
    assert "<script" not in Answer(hostile, (), True, Receipt())._repr_html_()
    assert "<script" not in replace(answer, text=hostile)._repr_html_()
    shown = Answer(hostile, (), True, Receipt()).shown_by(answer.__dict__["_page"])
    assert "&lt;script" in shown._repr_html_() and "<script" not in shown._repr_html_()


def test_copies_and_pickles_of_an_answer_hold_no_model(answer):
    again = pickle.loads(pickle.dumps(answer))
    assert again == answer and "_page" not in again.__dict__ and "_page" in answer.__dict__


def test_a_study_is_shown_as_its_frontier():
    page = Page(html := StudyResults(synthetic.results())._repr_html_())
    assert not page.stack and not [t for t, _ in page.elements if t == "script"]
    assert html.count('<svg class="chart"') == 3 and "prefers-color-scheme: dark" in html
    hostile = StudyResults(synthetic.results() | {"title": synthetic.HOSTILE})
    assert "<script" not in hostile._repr_html_() and "<img" not in hostile._repr_html_()
    assert StudyResults(synthetic.bare())._repr_html_()
    assert StudyResults(synthetic.bare()) == synthetic.bare(), "it is a plain dictionary to all else"


def test_studies_hand_out_results_that_a_notebook_shows(model, recipe, sets, tmp_path, monkeypatch):
    from clampdown.studies.plan import Plan
    from clampdown.studies.prepared import Prepared

    plan = Plan(name="tiny", max_new_tokens=2, batch=8, factors=(1.0,), arms=("none", "clamp"))
    ready = Prepared(recipe, plan, sets[:2], ())
    monkeypatch.setattr("clampdown.library.prepare_study", lambda *_, **__: ready)
    found = clampdown.study(recipe, model=Model(model), folder=tmp_path)
    assert "<svg" in found._repr_html_() and found["report"].endswith("report.html")
    assert all({"raises", "lowers"} <= set(latent) for latent in found["latents"])
