"""A passage read in pieces and whole, steered and not, against the scorer's own sums."""

import pytest
import torch

from clampdown.engine import echoing
from clampdown.engine.echoing import passage_chances, passage_parts
from clampdown.engine.generation import generate
from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.engine.scoring import LocalScorer
from clampdown.errors import ClampdownError
from clampdown.recipe import Direction, Gate, Positions, Recipe

IDS = torch.randint(3, 40_000, (23,), generator=torch.Generator().manual_seed(0)).tolist()
RECIPES = [
    None,
    Recipe("all", "tiny", "", (Direction(1, 20.0, seed=1),)),
    Recipe("few", "tiny", "", (Direction(1, 20.0, seed=1),), Positions(prompt="user", generated=9, fade=3)),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("width", [256, 5, 1])
def test_chances_sum_to_what_the_scorer_says(recipe, width, tiny, monkeypatch):
    monkeypatch.setattr(echoing, "_AT_ONCE", width)
    chances, after, receipt = passage_chances(tiny, IDS, recipe, 2)
    assert [chance.token for chance in chances] == IDS[1:]
    [whole] = LocalScorer(tiny).passages([IDS], recipe)
    assert sum(chance.log_probability for chance in chances) == pytest.approx(whole, abs=1e-3)
    assert all(len(chance.likeliest) == 2 for chance in chances) and len(after) == 2
    assert receipt.accounts_for(recipe) and receipt.tokens_seen == len(IDS)


def test_a_gate_must_be_forced(tiny, one_line):
    gated = Recipe("gated", "tiny", "", RECIPES[1].edits, gate=Gate("nowhere.safetensors", "0" * 64))
    with pytest.raises(ClampdownError) as caught:
        passage_chances(tiny, IDS, gated, 0)
    one_line(caught, "force")
    opened, _, receipt = passage_chances(tiny, IDS, gated.deciding("open"), 0)
    assert receipt.gate == "open" and receipt.tokens_edited
    plain, _, _ = passage_chances(tiny, IDS, RECIPES[1], 0)
    assert [c.log_probability for c in opened] == [c.log_probability for c in plain]
    assert passage_chances(tiny, IDS, gated.deciding("shut"), 0)[2].tokens_edited == 0


def test_between_parts_others_may_use_the_model(tiny, monkeypatch):
    monkeypatch.setattr(echoing, "_AT_ONCE", 4)
    alone = [passage_chances(tiny, IDS, recipe, 1) for recipe in RECIPES]
    [answered] = generate(tiny, [IDS], [RECIPES[1]], Sampling(8))
    engine, reading = LocalEngine(tiny), {n: passage_parts(tiny, IDS, recipe, 1) for n, recipe in enumerate(RECIPES)}
    engine.submit(Request(IDS, RECIPES[1], Sampling(8)))
    read, answers = {}, []
    while reading or not engine.idle:
        answers += [event.answer for event in engine.step() if event.answer]
        for number, parts in list(reading.items()):
            try:
                next(parts)
            except StopIteration as over:
                read[number] = over.value
                del reading[number]
    assert [read[number] for number in sorted(read)] == alone
    assert [answer.ids for answer in answers] == [answered.ids]
