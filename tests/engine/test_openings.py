"""What chats open with is read once and kept: answers, receipts and gates are as if it were read each time."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "steering"))

from gates import part, written
from test_local import alone, run, same

from clampdown.engine.local import LocalEngine
from clampdown.engine.openings import Openings
from clampdown.engine.request import Request, Sampling
from clampdown.models import key_values
from clampdown.models.prompt import Prompt
from clampdown.recipe import Direction, Positions, Recipe

OPENINGS = ([5, 6, 7, 8, 9, 10], [5, 6, 7, 8, 9, 10, 11, 12], [40, 41])


def chats(number, seed=0):
    """Chats of three openings, one of them too short to be worth it; and plain texts."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for i in range(number):
        said = torch.randint(3, 40_000, (1 + i % 5,), generator=draw).tolist()
        opening = OPENINGS[i % 3]
        spans = [(len(opening), len(opening) + len(said))]
        ids = [*opening, *said, 20]
        found.append(ids if i % 7 == 6 else Prompt(ids, spans))
    return found


@pytest.fixture(scope="module")
def recipes(tiny, tmp_path_factory):
    """One that leaves openings alone, some that edit them, and gates of which half are open."""
    push = Direction(1, 4.0, seed=1)
    file = tmp_path_factory.mktemp("gates") / "gate.safetensors"
    gates = [
        written(file.with_stem(over), tiny, [part(1, pool="mean", over=over)], chats(6))
        for over in ("prompt", "request")
    ]
    last = Positions(prompt="last")
    return [
        None,
        Recipe("all", "tiny", "", (push,)),
        Recipe("stronger", "tiny", "", (Direction(1, 8.0, seed=1),)),
        Recipe("user", "tiny", "", (push,), Positions(prompt="user")),
        *(Recipe(f"gated {i}", "tiny", "", (push,), last, gate=gate) for i, gate in enumerate(gates)),
        Recipe("gated, all", "tiny", "", (push,), gate=gates[0]),
    ]


def asked(recipes, number=24):
    found = []
    for i, prompt in enumerate(chats(number)):
        recipe = recipes[i * 5 % len(recipes)]
        if recipe is not None and recipe.positions.prompt == "user" and not isinstance(prompt, Prompt):
            recipe = None
        found.append(Request(prompt, recipe, Sampling(3 + i % 4)))
    return found


@pytest.mark.parametrize(("most", "every"), [(32, 2), (3, 1), (32, 0)])
def test_an_answer_that_begins_with_a_kept_opening_is_that_of_the_prompt_read_whole(most, every, tiny, recipes):
    requests = asked(recipes)
    engine = LocalEngine(tiny, most=most, keep=True)
    for _ in range(2):  # the second time all of them are kept
        _, answers = run(engine, requests, every) if every else told_at_once(engine, requests)
        gates = set()
        for number, request in zip(sorted(answers), requests, strict=True):
            answer, wanted = answers[number], alone(tiny, request)
            same(answer, wanted)
            assert answer.receipt.gate == wanted.receipt.gate
            if wanted.receipt.score is not None:
                assert answer.receipt.score == pytest.approx(wanted.receipt.score, abs=1e-4)
            gates.add(answer.receipt.gate)
        assert {"open", "shut"} <= gates


def told_at_once(engine, requests):
    numbers = [engine.submit(request) for request in requests]
    answers = {}
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer is not None}
    return None, {number: answers[number] for number in numbers}


def test_an_opening_is_read_once_for_each_recipe_that_edits_it(tiny, recipes):
    openings, ids = Openings(tiny), OPENINGS[0]
    calls = []
    handle = tiny.hf.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        plain = openings.read(ids, None)
        assert openings.read(ids, recipes[3]) is plain  # who edits the user's words alone
        assert openings.read(list(ids), None) is plain and len(calls) == 1
        edited = openings.read(ids, recipes[1])
        assert edited is not plain and openings.read(ids, recipes[1]) is edited and len(calls) == 2
        assert openings.read(ids, recipes[2]) is not edited and len(calls) == 3
    finally:
        handle.remove()


def test_what_is_kept_is_bounded_and_what_was_used_last_stays(tiny):
    one = Openings(tiny).read(OPENINGS[0], None).bytes
    openings = Openings(tiny, most=3 * one)
    first = openings.read(OPENINGS[0], None)
    for number in range(20):
        assert openings.read(OPENINGS[0], None) is first
        openings.read([100 + number, *OPENINGS[0][1:]], None)
    assert sum(kept.bytes for kept in openings._kept.values()) <= 3 * one


def test_an_opening_that_is_not_finite_fails_its_own_rows_each_time_and_is_not_kept(tiny):
    huge = (Direction(1, 3e38, values=(9.0,) * tiny.d_model),)
    chat = chats(1)[0]
    engine = LocalEngine(tiny, keep=True)
    for name in ("one", "another"):
        requests = [Request(chat, recipe, Sampling(2)) for recipe in (Recipe(name, "tiny", "", huge), None)]
        _, answers = told_at_once(engine, requests)
        bad, good = answers.values()
        assert f"recipe {name}:" in bad.error and not bad.text
        same(good, alone(tiny, requests[1]))


def test_where_blocks_keep_more_than_keys_nothing_is_kept(tiny, monkeypatch):
    monkeypatch.setattr(key_values, "_PLAIN", ())
    assert Openings(tiny).length(Prompt([1, 2, 3, 4, 5, 6], [(5, 6)]), 1) == 0
