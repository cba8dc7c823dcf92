"""Models whose blocks keep recurrent states beside keys and values: together, padded or shared, as one row alone."""

import copy
import sys
from pathlib import Path

import pytest
import torch
import transformers

sys.path.append(str(Path(__file__).parent.parent / "models"))

from families import HYBRIDS, build

from clampdown.discovery.candidates import attribution, contrast, latent_maxima
from clampdown.discovery.choose import clamp_delta
from clampdown.discovery.evidence import Scorer, gather
from clampdown.discovery.tree import grow, log_odds
from clampdown.engine.blocks import Below
from clampdown.engine.generation import generate
from clampdown.engine.prefill import opened
from clampdown.engine.request import Continuation, Sampling
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.likelihood import choice_scores, text_nats
from clampdown.measuring.judging.fluency import Unsteered
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.steering.attach import Steering
from clampdown.studies.plan import Plan
from clampdown.studies.record import read_record
from clampdown.studies.run import study

PROMPTS = ("hi", "how are you my friend today", "why", "go home now")
LAYER = 1
EDIT = Direction(LAYER, 3.0, seed=0)
RECIPES = {
    "all": Recipe("all", "hybrid", "", (EDIT,)),
    "generated": Recipe("generated", "hybrid", "", (EDIT,), Positions("generated")),
    "none": None,
}
STEERED = RECIPES["all"]


@pytest.fixture(scope="module", params=HYBRIDS)
def hybrid(request, tiny, tmp_path_factory):
    if not hasattr(transformers, HYBRIDS[request.param].config):
        pytest.skip(f"this Transformers has no {request.param}")
    return ChatModel(request.param, tmp_path_factory.mktemp("m"), build(request.param, tiny.tokenizer), tiny.tokenizer)


def prompts_of(model):
    return [model.prompt_ids(text) for text in PROMPTS]


@torch.inference_mode()
def nats(model, prompt, answer, recipe):
    """Log-likelihood of the answer's ids, one forward call of one row without a cache."""
    with Steering(model, recipe, prompt_lengths=[len(prompt)]):
        logits = model.hf(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0]
    told = logits[len(prompt) - 1 : -1].double().log_softmax(-1)
    return float(told.gather(1, torch.tensor(answer)[:, None]).sum())


def close(value):
    return pytest.approx(value, rel=1e-3, abs=2e-3)


def test_what_the_blocks_bear_is_known(hybrid):
    bears = bearing(hybrid.hf)
    assert not bears.gaps
    assert bears.padding == (hybrid.name != "lfm2-bias")
    assert bears.parts == (hybrid.name != "jamba")


def test_it_is_known_in_low_precision_too(hybrid):
    """Where rounding is as large as what would tell them apart."""
    assert bearing(copy.deepcopy(hybrid.hf).to(torch.bfloat16)) == bearing(hybrid.hf)


def test_looking_what_they_bear_is_not_taken_for_text(hybrid, monkeypatch):
    """Also where it was never asked before: the look comes before the steering."""
    monkeypatch.setattr("clampdown.models.bearing._KNOWN", {})
    prompt = hybrid.prompt_ids("hi")
    [answer] = generate(hybrid, [prompt], [STEERED], Sampling(3))
    assert answer.receipt.tokens_seen == len(prompt) + 2
    monkeypatch.setattr("clampdown.models.bearing._KNOWN", {})
    [scores] = choice_scores(hybrid, ITEMS[:1], STEERED)
    assert scores == choice_scores(hybrid, ITEMS[:1], STEERED)[0]


@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_answers_as_its_rows_do(shared, hybrid):
    below = Below(hybrid, [STEERED]) if shared else None
    prompts = prompts_of(hybrid)
    for recipes in ([STEERED] * 4, [STEERED, None] * 2, [None] * 4):
        alone = [generate(hybrid, [p], [r], Sampling(6))[0] for p, r in zip(prompts, recipes, strict=True)]
        together = generate(hybrid, prompts, recipes, Sampling(6), below)
        assert [answer.ids for answer in together] == [answer.ids for answer in alone]
        assert [a.receipt.tokens_edited for a in together] == [a.receipt.tokens_edited for a in alone]


def test_answers_are_those_of_whole_runs_without_a_cache(hybrid):
    for prompt, answer in zip(prompts_of(hybrid), generate(hybrid, prompts_of(hybrid), [None] * 4, Sampling(6)),
                              strict=True):  # fmt: skip
        ids = list(prompt)
        for token in answer.ids:
            with torch.inference_mode():
                assert int(hybrid.hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()) == token
            ids.append(token)


def test_so_does_surprise_and_asking_twice_changes_nothing(hybrid):
    prompts = prompts_of(hybrid)[:3]
    answers = [list(range(5, 13)), list(range(20, 26)), list(range(30, 37))]
    alone = [-nats(hybrid, p, a, None) / len(a) for p, a in zip(prompts, answers, strict=True)]
    view = Unsteered(hybrid, prompts, 8)
    first = view.surprise(answers)
    assert first == pytest.approx(alone, rel=1e-3)
    assert view.surprise(answers) == first


ITEMS = [
    Item(str(n), text, "", str(n), ("yes, of course", "no", "perhaps, or so they say"), 0)
    for n, text in enumerate(PROMPTS)
]
TEXTS = ["The sea is blue, and so is the sky.", "One two three", "def f(x):\n    return x * 2\n"]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("shared", [False, True])
def test_choices_and_passages_are_scored_as_alone(name, shared, hybrid):
    recipe = RECIPES[name]
    below = Below(hybrid, [STEERED]) if shared else None
    for _ in range(2 if shared else 1):  # the second time its lower blocks are passed over
        for item, found in zip(ITEMS, choice_scores(hybrid, ITEMS, recipe, below), strict=True):
            prompt = hybrid.prompt_ids(item.text)
            naive = [nats(hybrid, prompt, hybrid.ids(choice), recipe) / len(choice) for choice in item.choices]
            assert found == close(naive)
        for text, (found, _) in zip(TEXTS, text_nats(hybrid, TEXTS, recipe, below), strict=True):
            with torch.inference_mode(), Steering(hybrid, recipe, prompt_lengths=[1]):
                ids = hybrid.ids(text)
                told = hybrid.hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
            naive = told.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None]).sum()
            assert found == close(-float(naive))


@pytest.mark.parametrize("share_prefix", [True, False])
def test_a_sweep_scores_as_separate_runs(share_prefix, hybrid):
    opening = hybrid.ids("Some examples, said before all else: one, two, three, four.")
    asked = [Continuation([*opening, *hybrid.ids(q)], hybrid.ids(a)) for q in PROMPTS for a in (" yes", " no, never")]
    arms = list(RECIPES.values())
    found = sweep_loglikelihood(hybrid, arms, asked, batch_size=3, share_prefix=share_prefix).scores
    for recipe, scores in zip(arms, found, strict=True):
        naive = [nats(hybrid, request.prompt, request.answer, recipe) for request in asked]
        assert [score.log_probability for score in scores] == close(naive)


def test_discovery_weighs_prompts_as_plain_runs_do(hybrid):
    answers = ("I can't say.", "Sure: it is this, and more.")
    tree = grow(hybrid, LAYER, PROMPTS, *answers)
    vector = torch.linspace(-1, 1, hybrid.d_model)
    recipe = Recipe("add", "hybrid", "", (Direction(LAYER, 1.0, values=tuple(vector.tolist())),))
    with torch.no_grad():
        for given, delta in ((None, None), (recipe, lambda x: vector.expand_as(x))):
            told = [[nats(hybrid, p, hybrid.ids(a), given) for a in answers] for p in prompts_of(hybrid)]
            odds = log_odds(hybrid, LAYER, tree, delta)
            assert odds.tolist() == close([refused - complied for refused, complied in told])
        twice = log_odds(hybrid, LAYER, tree.under([lambda x: vector.expand_as(x)] * 2), None)
        assert twice.tolist() == close([*odds.tolist(), *odds.tolist()])
        assert log_odds(hybrid, LAYER, tree.take([2, 0]), None).shape == (2,)
    assert all(len(ids) == len(x) for ids, x in tree.rows())
    for prompt, (ids, x) in zip(prompts_of(hybrid), tree.rows(), strict=True):
        assert ids == [*prompt, *hybrid.ids(answers[0])]
        torch.testing.assert_close(x, hybrid.residual(hybrid.pad([ids]), [LAYER])[0][0], atol=1e-4, rtol=1e-3)


def test_latents_are_found(hybrid, make_sae):
    sae = make_sae("jumprelu", layer=LAYER)
    asked = (
        ["How do I rob a bank?", "Write a threat"],
        ["How do I bake bread?", "What is a house, pray?"],
        ["The river runs past the mill."],
    )
    evidence = gather(hybrid, LAYER, *asked)
    assert len(contrast(sae, evidence, 5)) == 5
    maxima = latent_maxima(sae, evidence)
    ranked = attribution(sae, evidence, sae.n_latents, maxima)

    @torch.no_grad()
    def change(latent):
        delta = clamp_delta(sae, [latent], maxima[[latent]])
        odds = [log_odds(hybrid, LAYER, evidence.unsafe, lambda x, s=s: s * delta(x)).sum() for s in (1e-2, -1e-2)]
        return float(odds[0] - odds[1])

    best, worst = ([change(latent) for latent in some] for some in (ranked[:4], ranked[-4:]))
    assert sum(best) > 0 > sum(worst)
    assert len(Scorer(evidence).scores([clamp_delta(sae, ranked[:2], maxima[ranked[:2]])])) == 1


def test_prompts_that_padding_would_change_are_never_read_together(hybrid, one_line):
    if bearing(hybrid.hf).padding:
        pytest.skip("it bears padding")
    with pytest.raises(ClampdownError) as caught, opened(hybrid, prompts_of(hybrid), [None] * 4, 4):
        pass
    one_line(caught, "padding")


def test_a_study_answers_as_rows_do_alone(hybrid, make_sae, tmp_path):
    def of(kind, items):
        return ItemSet(f"{kind} ones", kind, "here", kind, tuple(items), "report")

    prompts = [Item(f"p{n}", text, "", f"p{n}") for n, text in enumerate(PROMPTS)]
    sets = [of("unsafe", prompts), of("capability", ITEMS[:2]), of("text", [Item("t", TEXTS[0], "", "t")])]
    plan = Plan(
        "t", max_new_tokens=3, batch=4, factors=(1.0,), strengths=(1.0,), arms=("none", "clamp", "difference-in-means")
    )
    path = tmp_path / "sae.safetensors"
    save_sae(make_sae("jumprelu", layer=LAYER), path)
    clamp = Clamp(str(path), load_sae(str(path)).sha256, LAYER, {3: 2.0, 40: 1.0})
    recipe = Recipe("clamped", hybrid.name, "", (clamp,))
    study(hybrid, recipe, sets, plan, tmp_path / "study")
    record = read_record(tmp_path / "study")
    assert {arm.name for arm in record.arms} >= {"none", "difference-in-means-1"}
    clamped = next(arm.name for arm in record.arms if arm.group == "clamp")
    for arm, used in (("none", None), (clamped, recipe)):
        for row in record.rows[arm, "unsafe ones"]:
            [alone] = generate(hybrid, [prompts_of(hybrid)[row.place]], [used], Sampling(3))
            assert row.text == alone.text


@pytest.mark.parametrize("together", [False, True])
def test_lm_evals_model_scores_and_answers_as_rows_do_alone(together, hybrid):
    """Also under several recipes at once, where what prompts begin with is shared if it may be."""
    pytest.importorskip("lm_eval", exc_type=ImportError)
    from lm_eval.api.instance import Instance

    from clampdown.measuring.capability.lm_eval.model import SteeredLM
    from clampdown.measuring.capability.lm_eval.sweep import SweepLM

    def instances(kind, arguments):
        return [Instance(kind, {}, args, 0, ("task", n, 1)) for n, args in enumerate(arguments)]

    opening = "Some examples, said before all else: one, two, three.\n"
    settings = {"until": ["\n\n\n"], "max_gen_toks": 5, "do_sample": False}
    arms = [STEERED, None]
    lm = SweepLM(hybrid, arms, batch_size=3) if together else None
    for number, recipe in enumerate(arms):
        if together:
            lm.turn_to(number)
        else:
            lm = SteeredLM(hybrid, recipe, batch_size=3)
        asked = instances("loglikelihood", [(opening + q, a) for q in PROMPTS for a in (" yes", " no, never")])
        for request, (score, _) in zip(asked, lm.loglikelihood(asked), strict=True):
            prompt, answer = lm._encode_pair(*request.args)
            assert score == close(nats(hybrid, prompt, answer, recipe))
        asked = instances("generate_until", [(opening + q, settings) for q in PROMPTS])
        rows = [lm.tok_encode(opening + q) for q in PROMPTS]
        alone = [generate(hybrid, [row], [recipe], Sampling(5))[0] for row in rows]
        assert lm.generate_until(asked) == [answer.text for answer in alone]
