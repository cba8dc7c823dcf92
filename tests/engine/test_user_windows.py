"""Windows on what the user says, wherever rows share, join or are scored, against a plain loop over positions."""

import random
from dataclasses import replace

import pytest
import torch

from clampdown.discovery.windows import window
from clampdown.engine import prefill
from clampdown.engine.generation import generate, stream
from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Continuation as Scored
from clampdown.engine.request import Request, Sampling
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.likelihood import choice_scores
from clampdown.measuring.sets.sets import Item
from clampdown.models import residual
from clampdown.models.prompt import Prompt
from clampdown.recipe import Direction, Positions, Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.edits import direction_vector
from clampdown.steering.self_test import self_test
from clampdown.studies.calibration import Calibration

EDITS = (Direction(0, 12.0, seed=1), Direction(2, 20.0, seed=2))
WINDOWS = [
    Positions(prompt="user", generated="none"),
    Positions(prompt="user"),
    Positions(prompt="user", generated=2, fade=2),
    Positions(prompt="user", generated=1, sinks=True),
    Positions(generated=3),
]
RECIPES = [Recipe(f"r{n}", "tiny", "", EDITS, positions) for n, positions in enumerate(WINDOWS)]


def weight(positions, prompt, place):
    """What Δ is multiplied by at a place of the sequence."""
    if place == 0 and not positions.sinks:
        return 0.0
    if place < len(prompt):
        return float(positions.prompt == "all" or any(a <= place < b for a, b in prompt.user))
    if isinstance(positions.generated, str):
        return float(positions.generated == "all")
    beyond = place - len(prompt) - positions.generated
    return max(0.0, 1.0 if beyond < 0 else 1 - (beyond + 1) / (positions.fade + 1))


@torch.inference_mode()
def naive_logits(model, prompt, recipe, answer=()):
    """The logits [position, vocabulary] of one row, run whole, and how many of its tokens were edited."""
    ids = [*prompt, *answer]
    weights = torch.tensor([weight(recipe.positions, prompt, i) if recipe else 0.0 for i in range(len(ids))])

    def edit(direction):
        vector = direction.strength * direction_vector(direction, model.d_model)

        def hook(_module, _inputs, output):
            x = residual.block_output(output)
            return residual.with_block_output(output, x + weights[:, None] * vector)

        return hook

    blocks = residual.blocks(model.hf)
    handles = [blocks[edit_.layer].register_forward_hook(edit(edit_)) for edit_ in (recipe.edits if recipe else ())]
    try:
        return model.hf(input_ids=torch.tensor([ids])).logits[0].double(), int((weights > 0).sum())
    finally:
        for handle in handles:
            handle.remove()


def naive(model, prompt, recipe, tokens):
    """Greedy tokens, each from a run of the whole row, and how many tokens were edited."""
    said, edited = [], 0
    while len(said) < tokens:
        logits, edited = naive_logits(model, prompt, recipe, said)
        said.append(int(logits[-1].argmax()))
        if said[-1] in model.stop_ids:
            break
    return tuple(said), edited


def prompts(seed, number, opening=0):
    """Rows with user turns in all kinds of places; `opening` tokens are shared, and some turns lie across their end."""
    draw = random.Random(seed)
    start, found = draw.choices(range(3, 40_000), k=opening), []
    for _ in range(number):
        ids = start + draw.choices(range(3, 40_000), k=draw.randint(3, 14))
        borders = sorted(draw.sample(range(len(ids) + 1), 2 * draw.randint(0, min(2, len(ids) // 2))))
        found.append(Prompt(ids, zip(borders[::2], borders[1::2], strict=True)))
    return found


def check(model, asked, answers):
    for (prompt, recipe, tokens), answer in zip(asked, answers, strict=True):
        said, edited = naive(model, prompt, recipe, tokens)
        assert (answer.ids, answer.receipt.tokens_edited) == (said, edited)


@pytest.mark.parametrize("opening", [0, 9])
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_answered_as_a_plain_loop_would(seed, opening, tiny):
    rows = prompts(seed, 12, opening)
    recipes = [[*RECIPES, None][n // 2] for n in range(len(rows))]
    asked = list(zip(rows, recipes, [5] * len(rows), strict=True))
    check(tiny, asked, generate(tiny, rows, recipes, Sampling(5)))
    one = RECIPES[seed % 3]
    check(tiny, [(row, one, 4) for row in rows], generate(tiny, rows, [one] * len(rows), Sampling(4)))


def test_a_beginning_is_shared_as_far_as_its_turns_are_alike(tiny, monkeypatch):
    ids = random.Random(5).choices(range(3, 40_000), k=16)
    rows = [Prompt([*ids, n], spans) for n, spans in enumerate([[(5, 9)], [(5, 12)], [(5, 9), (10, 11)], [(5, 17)]])]
    seen, fan_out = [], Steering.fan_out

    def noted(self, *args):
        seen.append(self.tracker.length)
        fan_out(self, *args)

    monkeypatch.setattr(Steering, "fan_out", noted)
    for recipe, shared in ((RECIPES[1], 9), (RECIPES[-1], 16)):
        check(tiny, [(row, recipe, 3) for row in rows], generate(tiny, rows, [recipe] * 4, Sampling(3)))
        assert seen.pop() == shared and not seen
    assert prefill.alike([((1, 3),), ((1, 2), (2, 3)), None], 8) == 8


def test_rows_that_join_are_answered_as_a_plain_loop_would(tiny):
    rows = prompts(7, 12) + prompts(8, 4, 8)
    asked = [(row, [*RECIPES, None][n % 6], 2 + n % 5) for n, row in enumerate(rows)]
    engine, answers, waiting = LocalEngine(tiny, most=6), {}, list(asked)
    while waiting or not engine.idle:
        for prompt, recipe, tokens in [waiting.pop(0) for _ in range(min(3, len(waiting)))]:
            engine.submit(Request(prompt, recipe, Sampling(tokens)))
        answers |= {event.request: event.answer for event in engine.step() if event.answer}
    check(tiny, asked, [answers[number] for number in range(len(asked))])


@pytest.mark.parametrize("opening", [0, 12])
def test_a_sweep_of_likelihoods_is_that_of_a_plain_loop(opening, tiny):
    draw, recipes = random.Random(3), [*RECIPES, None]
    asked = [Scored(row, draw.choices(range(3, 40_000), k=1 + n % 3)) for n, row in enumerate(prompts(4, 9, opening))]
    asked.append(Scored(Prompt(asked[0].prompt, [(0, 1)]), asked[0].answer))  # the same ids, said by others
    swept = sweep_loglikelihood(tiny, recipes, asked, batch_size=4)
    for recipe, scores in zip(recipes, swept.scores, strict=True):
        for (prompt, answer), score in zip(asked, scores, strict=True):
            logits, _ = naive_logits(tiny, prompt, recipe, answer[:-1])
            told = logits[len(prompt) - 1 :].log_softmax(-1)
            wanted = sum(float(told[i, token]) for i, token in enumerate(answer))
            assert score.log_probability == pytest.approx(wanted, rel=1e-4, abs=1e-3)
    short = sweep_loglikelihood(tiny, RECIPES[:1], asked[:1], max_length=6).scores[0][0]
    cut = (asked[0].prompt + asked[0].answer)[-7:]
    assert short == sweep_loglikelihood(tiny, RECIPES[:1], [Scored(cut[:-1], cut[-1:])]).scores[0][0]


def test_choices_are_scored_as_a_plain_loop_would(tiny):
    items = [
        Item(str(n), text, "", str(n), ("four", "five or six"), 0)
        for n, text in enumerate(["2+2?", "Pick, would you?", "  Three 🙂 "])
    ]
    for recipe in RECIPES[:3]:
        for item, scores in zip(items, choice_scores(tiny, items, recipe), strict=True):
            prompt = tiny.prompt_ids(item.text)
            for choice, score in zip(item.choices, scores, strict=True):
                ids = tiny.ids(choice)
                told = naive_logits(tiny, prompt, recipe, ids)[0].log_softmax(-1)[len(prompt) - 1 : -1]
                wanted = sum(float(told[i, token]) for i, token in enumerate(ids)) / len(choice)
                assert score == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_chats_of_several_turns_with_a_system_prompt(bundled):
    chat = [
        {"role": "user", "content": "Name a bird."},
        {"role": "assistant", "content": "A heron."},
        {"role": "user", "content": "And a fish?"},
    ]
    prompt = bundled.prompt_ids(chat, system="Be brief.")
    recipe = Recipe("r", "b", "", (Direction(15, 400.0, seed=1),), Positions(prompt="user", generated=3))
    [answer] = generate(bundled, [prompt], [recipe], Sampling(6))
    said, edited = naive(bundled, prompt, recipe, 6)
    assert (answer.ids, answer.receipt.tokens_edited) == (said, edited)
    assert edited == len(bundled.ids("Name a bird.")) + len(bundled.ids("And a fish?")) + 3
    self_test(bundled, recipe)


def test_where_only_ids_come_it_is_refused_in_one_line(tiny, one_line):
    ids, recipe = [1, 5, 6, 7, 8, 9], RECIPES[0]
    answer_to = {
        "a request": lambda: Request(ids, recipe),
        "a batch": lambda: generate(tiny, [tiny.prompt_ids("Hi"), ids], [recipe] * 2, Sampling(2)),
        "one answer": lambda: stream(tiny, ids, recipe, Sampling(2), print),
        "a score": lambda: sweep_loglikelihood(tiny, [None, recipe], [Scored(ids, [4])]),
        "a steering told of it": lambda: Steering(tiny, [recipe], user_turns=[None]),
    }
    for ask in answer_to.values():
        with pytest.raises(ClampdownError) as caught:
            ask()
        one_line(caught, "r0", "what the user says", "chat")
    with pytest.raises(ClampdownError) as caught, Steering(tiny, recipe):
        tiny.hf(input_ids=torch.tensor([ids]))
    one_line(caught, "what the user says", 'prompt = "all"')
    assert len(generate(tiny, [ids], [replace(recipe, edits=())], Sampling(2))) == 1, "nothing is edited"
    assert len(generate(tiny, [tiny.prompt_ids("Hi"), ids], [recipe, None], Sampling(2))) == 2, "nor in that row"


def test_a_template_that_does_not_tell_is_found_out_by_the_self_test(tiny, monkeypatch, one_line):
    twice = "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}"
    monkeypatch.setattr(tiny.tokenizer, "chat_template", twice)
    with pytest.raises(ClampdownError) as caught:
        self_test(replace(tiny), RECIPES[0])
    one_line(caught, "what the user says")


def test_the_self_test_looks_at_a_token_of_the_user(tiny):
    for recipe in RECIPES:
        self_test(tiny, recipe)


def test_controls_are_calibrated_where_the_recipe_edits(tiny):
    alone, whole = (Calibration(tiny, replace(RECIPES[0], positions=p), 0) for p in (WINDOWS[0], Positions()))
    assert 0 < len(alone.x[0]) < len(whole.x[0])


def test_recipes_and_names_of_windows(tmp_path):
    assert window("user+14~2") == Positions(prompt="user", generated=14, fade=2) and window("user") == WINDOWS[1]
    assert str(WINDOWS[2]) == "what the user says, the first 2 generated, fading over 2 more, but attention sinks"
    hashes = set()
    for recipe in RECIPES:
        same = replace(recipe, name="r")
        assert Recipe.from_toml(same.to_toml()) == same
        hashes.add(same.sha256)
    assert len(hashes) == len(RECIPES)
    assert replace(RECIPES[0], positions=Positions(prompt="user", generated=0)).sha256 == RECIPES[0].sha256
    assert WINDOWS[0].to_dict() == {"prompt": "user", "generated": "none"} and not WINDOWS[1].everywhere
