"""The words that a latent raises and lowers are ones that a reader knows."""

import pytest

import clampdown
from clampdown.discovery.describe import promoted
from clampdown.discovery.words import words
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.saes.load import load_sae


@pytest.fixture(scope="module")
def found():
    model, [clamp, *_] = clampdown.load().chat, Recipe.load(bundled_path("refusal")).clamps
    sae, latents = load_sae(clamp.sae), list(clamp.values)
    return dict(
        zip(latents, zip(words(model, sae, latents), promoted(model, sae, latents, 30), strict=True), strict=True)
    )


def test_pieces_of_words_are_left_out(found):
    said = [word for told, _ in found.values() for word in (*told.raises, *told.lowers)]
    assert said and all(word.isalpha() for word in said)
    assert not {"strugg", "includ", "hypocr", "psychiat", "othschild", "LAIM", "clusivity"} & set(said)
    assert {"its", "your", "back"} <= set(said), "a word that longer ones begin with is a word all the same"


def test_what_is_raised_is_what_the_logit_lens_raises_most(found):
    for told, tokens in found.values():
        assert len(told.raises) <= 6 and len(told.lowers) <= 6
        assert set(told.raises) <= set(tokens) and not set(told.lowers) & set(tokens)
