"""Whether an SAE fits: good, random and mismatched ones on the tiny model, and the bundled pair."""

import json
from dataclasses import replace

import pytest
import torch

from clampdown.discovery.check_sae import FITS, NOT, POORLY, _complaints, check_sae
from clampdown.discovery.evaluate_sae import SAEFacts, evaluate_sae
from clampdown.errors import ClampdownError
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE


def perfect(width, layer=1) -> SAE:
    """Gives back what it gets: a latent for each sign of each coordinate, and others that are never on."""
    rows = torch.cat([torch.eye(width), -torch.eye(width), torch.zeros(4 * width, width)])
    bias = torch.cat([torch.zeros(2 * width), -torch.ones(4 * width)])
    return SAE("perfect", "relu", layer, rows, bias, rows.clone(), torch.zeros(width), model="tiny")


def overflow_above(model, layer, monkeypatch, value=torch.inf):
    """A model that overflows after a block, though not at it."""
    block = model.hf.model.layers[layer + 1]
    forward = block.forward
    monkeypatch.setattr(block, "forward", lambda x, *args, **kwargs: forward(x * value, *args, **kwargs))


@pytest.fixture(scope="module")
def rows(tiny):
    texts = ["What is a lighthouse for, and who built the first?", "Salt melts ice.", "How do tides come about?"]
    return [tiny.prompt_ids(text) for text in texts]


def test_a_perfect_sae_fits(tiny):
    found = check_sae(tiny, perfect(tiny.d_model))
    assert found.verdict == FITS
    assert found.reasons == found.notes == ()
    assert found.facts.fvu < 1e-6
    assert abs(found.facts.cross_entropy_added) < 1e-3
    assert found.facts.l0 == pytest.approx(tiny.d_model, rel=0.01)
    assert found.facts.silent == pytest.approx(2 / 3)
    assert 1000 < found.facts.tokens < 2500
    assert set(found.facts.nearby) == {0, 2}


def test_a_random_sae_fits_poorly(tiny, make_sae):
    found = check_sae(tiny, make_sae())
    body = json.loads(json.dumps(found.to_dict()))
    assert (body["schema"], body["verdict"]) == ("clampdown-sae-check/1", POORLY)
    assert body["sae"]["width"] == body["model"]["width"] == tiny.d_model
    assert body["facts"]["fvu"] > 0 and set(body["facts"]["nearby"]) == {"0", "2"}
    assert "variance is unexplained" in found.reasons[-1]
    assert "another layer" in found.reasons[-1]


def test_the_first_and_last_layer_have_one_neighbour(tiny, make_sae, tmp_path):
    page = tmp_path / "page.txt"
    page.write_text("Salt melts ice, and keeps fish. " * 8)
    for layer, beside in ((0, 1), (tiny.n_layers - 1, tiny.n_layers - 2)):
        found = check_sae(tiny, make_sae(), layer=layer, text=page)
        assert (found.layer, list(found.facts.nearby)) == (layer, [beside])
        assert str(page) in found.text
    assert "it says layer 1" in found.notes[0]


@pytest.mark.parametrize(
    "change, layer, words",
    [({"d": 48}, None, ["width 48", "32"]), ({}, 9, ["layer 9", "0 to 3"]), ({"layer": 7}, None, ["layer 7"])],
)
def test_what_does_not_fit_is_told_before_anything_is_measured(tiny, make_sae, change, layer, words):
    found = check_sae(tiny, make_sae(**change), layer=layer)
    assert (found.verdict, found.facts) == (NOT, None)
    [reason] = found.reasons
    assert all(word in reason for word in words)


def test_an_empty_page_is_refused(tiny, make_sae, one_line, tmp_path):
    page = tmp_path / "page.txt"
    page.write_text("\n")
    with pytest.raises(ClampdownError) as caught:
        check_sae(tiny, make_sae(), text=page)
    one_line(caught, "text")


def test_a_model_whose_residual_is_not_finite_is_told_so(tiny, make_sae, one_line, monkeypatch):
    weight = tiny.hf.model.layers[0].mlp.down_proj.weight
    before = weight.data.clone()
    monkeypatch.setattr(weight, "data", torch.full_like(before, torch.nan))
    with pytest.raises(ClampdownError) as caught:
        check_sae(tiny, make_sae())
    one_line(caught, "tiny's residual after block 1 is not finite", "float32")


@pytest.mark.parametrize(
    "about, said",
    [
        ({}, (None, None, None, None)),
        (
            {"repository": "o/r", "revision": "a" * 40, "pinned": "by you", "verified": "no"},
            ("o/r", "a" * 40, True, False),
        ),
        (
            {"repository": "o/r", "revision": "a" * 40, "pinned": "no", "verified": "yes, by the directory's hash"},
            ("o/r", "a" * 40, False, True),
        ),
    ],
)
def test_it_tells_where_the_sae_is_from_and_how_sure_that_is(about, said, tiny, make_sae):
    found = check_sae(tiny, replace(make_sae(d=48), about=about)).sae
    assert tuple(found[key] for key in ("repository", "revision", "pinned", "verified")) == said


GOOD = SAEFacts(1000, 8.0, 0.2, 3.0, 0.1, 0.4, 50.0, {0: 0.4, 2: 0.3})


@pytest.mark.parametrize(
    "facts, kind, words",
    [
        ({}, "topk", []),
        ({"l0": 2.0}, "topk", ["its k is 8", "normalisation"]),
        ({"l0": 30.0}, "topk", ["its k is 8"]),
        ({"l0": 30.0}, "relu", ["30 of 96 latents", "normalisation"]),
        ({"l0": 0.5}, "jumprelu", ["only 0.50 latents"]),
        ({"fvu": 0.7, "nearby": {0: 0.3, 2: 0.9}}, "topk", ["layer 0 fits better", "0.30", "0.70"]),
        ({"fvu": 0.7, "nearby": {0: 0.6}}, "topk", ["layer 0 fits better", "another layer"]),
        ({"fvu": 0.3, "nearby": {0: 0.28}}, "topk", []),
        ({"fvu": 0.7, "nearby": {}}, "topk", ["0.70 of the variance", "another layer"]),
        ({"fvu": 1.7, "nearby": {0: 1.6}}, "topk", ["more than the mean", "normalisation", "another layer"]),
        ({"cross_entropy_added": 1.5}, "topk", ["1.50 nats", "BOS"]),
    ],
)
def test_each_complaint_names_its_number_and_its_usual_cause(facts, kind, words, make_sae):
    said = " / ".join(_complaints(replace(GOOD, **facts), make_sae(kind), 1))
    assert bool(said) == bool(words)
    assert all(word in said for word in words), said


def test_names_and_hashes_are_compared(tiny, make_sae):
    def notes(**changes):
        return " / ".join(check_sae(tiny, replace(make_sae(d=48), **changes)).notes)

    assert notes(model="owner/tiny") == notes() == ""
    assert "names owner/huge" in notes(model="owner/huge")
    assert notes(about={"model_sha256": tiny.sha256}, model="owner/huge") == ""
    assert tiny.sha256[:12] in notes(about={"model_sha256": "0" * 64})


def test_a_layer_beside_is_measured_like_the_saes_own(tiny, make_sae, rows):
    beside = evaluate_sae(tiny, make_sae(), rows, nearby=[2]).nearby[2]
    assert beside == pytest.approx(evaluate_sae(tiny, make_sae(layer=2), rows).fvu)


def test_long_residuals_are_left_out_as_sinks(tiny, make_sae, rows):
    plain = evaluate_sae(tiny, make_sae(), rows)
    assert plain.tokens == sum(map(len, rows)) - len(rows)
    few = evaluate_sae(tiny, make_sae(), rows, sink_norm=plain.norm)
    assert 0 < few.tokens < plain.tokens
    assert few.norm < plain.norm


def test_the_bundled_pair_fits_and_one_layer_up_it_says_so(bundled, tmp_path):
    sae = load_sae("smollm2-135m-instruct/layer-12")
    found = check_sae(bundled, sae)
    assert (found.verdict, found.notes) == (FITS, ())
    assert found.facts.fvu < 0.3 and found.facts.l0 == pytest.approx(32, abs=0.5)
    page = tmp_path / "page.txt"
    page.write_text("The tide leaves small worlds behind in the hollows of the rocks, each with its own weather. " * 4)
    above = check_sae(bundled, sae, layer=13, text=page)
    assert above.verdict == POORLY
    assert "layer 12 fits better" in above.reasons[0]


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_model_that_overflows_above_the_sae_gets_no_verdict(value, tiny, make_sae, monkeypatch, one_line):
    sae = perfect(tiny.d_model, layer=0)
    overflow_above(tiny, 1, monkeypatch, value)  # the neighbour, layer 1, is finite still
    with pytest.raises(ClampdownError) as caught:
        check_sae(tiny, sae)
    one_line(caught, "logits are not finite", "float32")
    with pytest.raises(ClampdownError) as caught:
        check_sae(tiny, replace(sae, layer=1))
    one_line(caught, "block 2", "not finite")


def test_facts_hold_no_number_that_json_can_not(one_line):
    good = {"tokens": 9, "l0": 1.0, "fvu": 0.1, "cross_entropy": 2.0, "cross_entropy_added": 0.1}
    for wrong in ({"fvu": float("nan")}, {"cross_entropy": float("inf")}, {"nearby": {3: float("nan")}}):
        with pytest.raises(ClampdownError) as caught:
            SAEFacts(**(good | {"silent": 0.0, "norm": 1.0} | wrong))
        one_line(caught, "not finite")


def test_a_page_of_a_token_or_two_is_no_measure(tiny, make_sae, one_line):
    for rows in ([[5, 7]], [[5]]):
        with pytest.raises(ClampdownError) as caught:
            evaluate_sae(tiny, make_sae(), rows)
        one_line(caught, "two tokens")
    assert evaluate_sae(tiny, make_sae(), [[5, 7, 7]]).tokens == 2
