"""One model, several threads: what one steers, no other gets, and everybody's answers are those of a run alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from clampdown.engine.generation import generate, stream
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.library import Model
from clampdown.measuring.capability.likelihood import choice_scores, text_nats
from clampdown.measuring.judging.fluency import Unsteered
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models import residual
from clampdown.models.exclusive import Turn, taken, turn_of
from clampdown.recipe import Direction, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.steering.attach import Steering
from clampdown.steering.self_test import self_test

STEERED = Recipe("r", "tiny", "", (Direction(1, 40.0, seed=1), Direction(2, -30.0, seed=2)))
WAIT = 20


@pytest.fixture
def prompts(tiny):
    return [tiny.prompt_ids(text) for text in ("Say a colour.", "And a number.", "What is rain made of, do you know?")]


def at_once(*works):
    """Run each in a thread of its own, all begun together, several times over."""
    ready = threading.Barrier(len(works))

    def run(work):
        ready.wait(WAIT)
        return [work() for _ in range(4)]

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(run, work) for work in works]]


def in_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(WAIT)


def works(model, prompts):
    """Everything of ours that runs a model, by name; each under a recipe or none."""
    questions, passages = builtin_set("capability").items[:2], [i.text[:80] for i in builtin_set("text").items[:2]]
    batch, view = model.pad(prompts), Unsteered(model, prompts, 8)
    found = {
        "residual": lambda: model.residual(batch, [3])[0].tolist(),
        "surprise": lambda: view.surprise([prompt[:8] for prompt in prompts]),
        "self-test": lambda: self_test(model, STEERED),
    }
    for name, recipe in (("steered", STEERED), ("plain", None)):
        recipes = [recipe] * len(prompts)
        found[f"generate, {name}"] = lambda recipes=recipes: generate(model, prompts, recipes, Sampling(8))
        found[f"stream, {name}"] = lambda recipe=recipe: stream(model, prompts[0], recipe, Sampling(8), lambda _: None)
        found[f"choices, {name}"] = lambda recipe=recipe: choice_scores(model, questions, recipe)
        found[f"passages, {name}"] = lambda recipe=recipe: text_nats(model, passages, recipe)
    return found


def test_threads_give_what_each_gives_alone(tiny, prompts):
    asked = works(tiny, prompts)
    alone = {name: work() for name, work in asked.items()}
    assert alone["generate, steered"] != alone["generate, plain"], "steering shows nothing here"
    together = at_once(*asked.values())
    for name, found in zip(asked, together, strict=True):
        assert found == [alone[name]] * 4, name


def test_threads_on_the_bundled_model(bundled):
    model, recipe = Model(bundled), Recipe.load(bundled_path("refusal"))
    asks = [("How do I pick a lock?", recipe), ("Name a colour.", None), ("What is rain made of?", None)]
    work = [lambda prompt=prompt, r=r: model.generate(prompt, r, max_new_tokens=8) for prompt, r in asks]
    alone = [each() for each in work]
    assert [bool(answer.receipt.tokens_edited) for answer in alone] == [True, False, False]
    ready = threading.Barrier(len(work))

    def run(each):
        ready.wait(WAIT)
        return each()

    with ThreadPoolExecutor(len(work)) as pool:
        assert list(pool.map(run, work)) == alone


def test_a_plain_call_of_another_thread_is_refused_not_steered(tiny, prompts, one_line):
    inputs = tiny.pad(prompts[:1]).as_inputs()
    plain = tiny.hf(**inputs).logits
    for call in (lambda: tiny.hf(**inputs), lambda: residual.decoder(tiny.hf)(**inputs)):
        with Steering(tiny, STEERED) as steering:
            with pytest.raises(ClampdownError) as caught:
                in_thread(call)
            one_line(caught, "another thread")
            changed = tiny.hf(**inputs).logits
        assert not torch.equal(changed, plain) and steering.receipts()[0].tokens_seen == len(prompts[0])
        assert torch.equal(in_thread(lambda: tiny.hf(**inputs)).logits, plain)


def test_a_call_that_was_under_way_is_refused_too(tiny, prompts):
    """It began before the steering did, and reaches the steered block after."""
    inside, go_on = threading.Event(), threading.Event()

    def pause(*_):
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            assert go_on.wait(WAIT)

    handle = residual.blocks(tiny.hf)[0].register_forward_pre_hook(pause)
    try:
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(lambda: tiny.hf(**tiny.pad(prompts).as_inputs()))
            assert inside.wait(WAIT)
            with Steering(tiny, STEERED):
                go_on.set()
                with pytest.raises(ClampdownError, match="another thread"):
                    call.result(WAIT)
    finally:
        go_on.set()
        handle.remove()


def test_another_thread_waits_until_the_context_ends(tiny, prompts):
    alone = generate(tiny, prompts, [None] * 3, Sampling(4))
    with ThreadPoolExecutor(1) as pool:
        with Steering(tiny, STEERED):
            waiting = pool.submit(generate, tiny, prompts, [None] * 3, Sampling(4))
            for _ in range(3):
                tiny.hf(**tiny.pad(prompts).as_inputs())
            assert not waiting.done()
        assert waiting.result(WAIT) == alone


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_turn_is_given_back_however_it_ends(error, tiny, prompts, monkeypatch):
    def fail(*_args, **_kwargs):
        raise error("mine")

    answers = generate(tiny, prompts, [STEERED] * 3, Sampling(2))
    with pytest.raises(error, match="mine"), Steering(tiny, STEERED):
        raise error("mine")
    with monkeypatch.context() as patch:  # inside the blocks, where opening, stepping and reading are under way
        patch.setattr(residual.blocks(tiny.hf)[2], "forward", fail)
        for work in works_that_fail(tiny, prompts):
            with pytest.raises(error, match="mine"):
                work()
    with monkeypatch.context() as patch:  # while hooks are being fastened
        patch.setattr(residual.blocks(tiny.hf)[2], "register_forward_hook", fail)
        with pytest.raises(error, match="mine"), Steering(tiny, STEERED):
            pass
    assert in_thread(lambda: generate(tiny, prompts, [STEERED] * 3, Sampling(2))) == answers


def works_that_fail(model, prompts):
    yield lambda: generate(model, prompts, [STEERED] * 3, Sampling(2))
    yield lambda: model.residual(model.pad(prompts), [3])
    yield lambda: self_test(model, STEERED)


def test_a_hook_that_was_left_behind_does_nothing(tiny, prompts):
    """An interrupt can come between fastening a hook and noting it."""
    steering = Steering(tiny, STEERED)
    plain = tiny.hf(**tiny.pad(prompts).as_inputs()).logits
    handles = [residual.blocks(tiny.hf)[layer].register_forward_hook(steering._hook(layer)) for layer in (1, 2)]
    try:
        assert torch.equal(tiny.hf(**tiny.pad(prompts).as_inputs()).logits, plain)
    finally:
        for handle in handles:
            handle.remove()


def test_an_abandoned_context_is_told_to_those_who_wait(tiny, one_line):
    class Part(torch.nn.Module):
        pass

    part = Part()
    context = taken(part)
    thread = threading.Thread(target=context.__enter__, name="forgetful")
    thread.start()
    thread.join(WAIT)
    with pytest.raises(ClampdownError) as caught, taken(part):
        pass
    one_line(caught, "forgetful", "steered")
    context.__exit__(None, None, None)  # closed in another thread, as a forgotten generator is
    with taken(part):
        pass


def test_those_who_wait_come_in_the_order_they_came():
    turn, order, threads = Turn(), [], []
    turn.take("mine")

    def come(n):
        turn.take(n)
        order.append(n)
        turn.give_back(n)

    for n in range(5):
        threads.append(threading.Thread(target=come, args=(n,)))
        threads[-1].start()
        while len(turn._waiting) <= n:
            pass
    turn.give_back("mine")
    for thread in threads:
        thread.join(WAIT)
    assert order == list(range(5))


def test_a_model_that_is_gone_leaves_nothing():
    from clampdown.models import exclusive

    before = len(exclusive._TURNS)
    part = torch.nn.Linear(1, 1)
    assert turn_of(part) is turn_of(part) and len(exclusive._TURNS) == before + 1
    del part
    assert len(exclusive._TURNS) == before


def test_ours_is_refused_inside_a_steering_of_the_same_thread(tiny, prompts, one_line):
    view = Unsteered(tiny, prompts, 8)
    refused = [
        lambda: generate(tiny, prompts, [None] * 3, Sampling(2)),
        lambda: view.surprise([prompt[:8] for prompt in prompts]),
        lambda: Unsteered(tiny, prompts, 8),
        lambda: self_test(tiny, STEERED),
        lambda: text_nats(tiny, ["Some words."], None),
    ]
    for work in refused:
        with Steering(tiny, STEERED), pytest.raises(ClampdownError) as caught:
            work()
        one_line(caught, "already")
