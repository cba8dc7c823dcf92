"""Scores under a gate are those of the same recipe without one where it opens, and unsteered where it stays shut."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parent.parent / folder) for folder in ("steering", "engine")]

from gates import WORDS, hidden, part, written

from clampdown.engine.blocks import Below
from clampdown.engine.request import Continuation, Question
from clampdown.engine.scoring import LocalScorer, sweep_loglikelihood
from clampdown.errors import ClampdownError
from clampdown.models.prompt import Prompt
from clampdown.recipe import Clamp, Direction, Gate, Positions, Recipe
from clampdown.saes.files import save_sae

OPENING = tuple(range(100, 112))


def prompts(opening):
    draw = torch.Generator().manual_seed(4)
    found = []
    for n in range(10):
        ids = [*opening, *torch.randint(3, 40_000, (3 + n % 5,), generator=draw).tolist()]
        found.append(Prompt(ids, [(max(1, len(opening) - 3), len(ids) - 1)]))
    return found


@pytest.fixture(scope="module")
def recipes(tmp_path_factory, make_sae, tiny):
    folder = tmp_path_factory.mktemp("gates")
    save_sae(make_sae("jumprelu", layer=1, seed=1), folder / "1.safetensors")
    clamp = Clamp(str(folder / "1.safetensors"), "", 1, {3: 6.0, 7: 4.0})
    asked = [*prompts(()), *prompts(OPENING)]
    kinds = {
        "above": [part(3, pool="mean")],
        "below": [part(0, seed=2, pool="max", over="prompt"), part(2, seed=3)],
    }
    gates = {name: written(folder / f"{name}.safetensors", tiny, parts, asked) for name, parts in kinds.items()}
    reads = ((0, "mean", "prompt"), (3, "mean", "request"), (1, "last", "request"))
    fed = [part(n, n, wide=4, features="hidden", pool=pool, over=over) for n, pool, over in reads]
    fed += [part(n, n, wide=3, features="hidden", pool="max", over="prompt", window=4) for n in (1, 2)]
    layers = {"hidden": hidden(), "windows": hidden(3, seed=6)}
    gates["hidden"] = written(folder / "hidden.safetensors", tiny, fed, asked, **layers)
    gates["words"] = written(folder / "words.safetensors", tiny, [], asked, words=WORDS)
    window = Positions(prompt="user", generated=2)
    return [
        Recipe("clamp", "tiny", "", (clamp,)),
        Recipe("above", "tiny", "", (clamp,), gate=gates["above"]),
        Recipe("below", "tiny", "", (Direction(2, 5.0, seed=2), clamp), window, gate=gates["below"]),
        Recipe("hidden", "tiny", "", (clamp,), gate=gates["hidden"]),
        None,
        Recipe("words", "tiny", "", (clamp,), Positions("from-last-prompt-token"), gate=gates["words"]),
        Recipe("forced", "tiny", "", (clamp,), gate=replace(gates["above"], decide="open")),
        Recipe("shut", "tiny", "", (clamp,), gate=replace(gates["above"], decide="shut")),
        Recipe("watch", "tiny", "", (clamp,), gate=replace(gates["above"], decide="watch")),
    ]


def reference(recipe, receipt):
    """The recipe that no gate has to do with."""
    if recipe is None or recipe.gate is None:
        return recipe
    steers = receipt.gate == "open" and recipe.gate.decide != "watch"
    return replace(recipe, gate=None) if steers else None


@pytest.mark.parametrize("opening", [(), OPENING])
def test_one_pass_for_many_recipes_decides_row_by_row(opening, tiny, recipes):
    answers = [(7, 8, 9), (11,), (500, 600)]
    asked = [Continuation(p, answers[n % 3]) for n, p in enumerate(prompts(opening))]
    swept = sweep_loglikelihood(tiny, recipes, asked, batch_size=6)
    said = set()
    for recipe, scores, receipts in zip(recipes, swept.scores, swept.receipts, strict=True):
        for one, score, receipt in zip(asked, scores, receipts, strict=True):
            plain = sweep_loglikelihood(tiny, [reference(recipe, receipt)], [one])
            [[expected]], [[told]] = plain
            assert score.log_probability == pytest.approx(expected.log_probability, abs=2e-3)
            assert receipt.recipe_sha256 == (recipe.sha256 if recipe else "")
            assert (receipt.tokens_seen, receipt.tokens_edited) == (told.tokens_seen, told.tokens_edited)
            assert receipt.accounts_for(recipe)
            said.add((recipe.name if recipe else "none", receipt.gate))
            if receipt.score is not None:
                assert (receipt.score >= receipt.threshold) == (receipt.gate == "open")
    assert {(name, gate) for name in ("above", "below", "hidden", "words", "watch") for gate in ("open", "shut")} < said
    assert {("forced", "open"), ("shut", "shut"), ("none", ""), ("clamp", "")} < said


def test_what_is_read_again_decides_as_an_answer_does(tiny, recipes):
    from clampdown.engine.generation import generate
    from clampdown.engine.request import Sampling

    asked = prompts(OPENING)
    swept = sweep_loglikelihood(tiny, recipes[1:4], [Continuation(p, (7, 8)) for p in asked])
    for recipe, receipts in zip(recipes[1:4], swept.receipts, strict=True):
        answers = generate(tiny, asked, [recipe] * len(asked), Sampling(1))
        assert [r.gate for r in receipts] == [a.receipt.gate for a in answers]
        assert [r.score for r in receipts] == pytest.approx([a.receipt.score for a in answers], abs=1e-3)


@pytest.mark.parametrize("shared", [False, True])
def test_choices_are_decided_at_the_end_of_the_question(shared, tiny, recipes):
    asked = [Question(p, ((7, 8, 9), (11,), (500, 600))) for p in prompts(OPENING)]
    below = Below(tiny, recipes) if shared else None
    scorer, plain = LocalScorer(tiny, below), LocalScorer(tiny)

    def same(told, others):
        return [torch.allclose(torch.tensor(a), torch.tensor(b), atol=2e-3) for a, b in zip(told, others, strict=True)]

    for name, opened in (
        ("above", range(1, 10)),
        ("hidden", range(1, 10)),
        ("words", range(1, 10)),
        ("forced", [10]),
        ("shut", [0]),
    ):
        recipe = next(r for r in recipes if r and r.name == name)
        told = scorer.choices(asked, recipe)
        open_ones = same(told, plain.choices(asked, replace(recipe, gate=None)))
        shut_ones = same(told, plain.choices(asked, None))
        assert all(a != b for a, b in zip(open_ones, shut_ones, strict=True)) and sum(open_ones) in opened


def test_a_passage_is_measured_with_the_gate_open(tiny, recipes):
    rows = [list(range(50, 60)), list(range(200, 220))]
    scorer = LocalScorer(tiny)
    assert scorer.passages(rows, recipes[1]) == scorer.passages(rows, recipes[0]) != scorer.passages(rows, None)


def test_a_gate_outside_can_not_be_asked_here(tiny, recipes):
    recipe = replace(recipes[0], gate=Gate(external="wildguard"))
    with pytest.raises(ClampdownError, match="wildguard"):
        sweep_loglikelihood(tiny, [None, recipe], [Continuation(prompts(())[0], (7,))])
    with pytest.raises(ClampdownError, match="wildguard"):
        LocalScorer(tiny).choices([Question(prompts(())[0], ((7,), (8,)))], recipe)
