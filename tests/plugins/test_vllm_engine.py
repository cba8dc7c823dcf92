"""vLLM answers as the Transformers engine does, whatever its batches hold. Skipped where vLLM is not installed."""

import os

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed; docs/vllm.md says how")

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

from clampdown.engine.local import LocalEngine
from clampdown.engine.request import Request, Sampling
from clampdown.measuring.sets import selecting_prompts
from clampdown.models.chat_model import load_chat_model
from clampdown.plugins.vllm.engine import VllmEngine
from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.recipe.bundled import bundled_path

TOKENS = 20
SAE = "smollm2-135m-instruct/layer-12"


@pytest.fixture(scope="module")
def model():
    return load_chat_model(dtype="float32")


@pytest.fixture(scope="module")
def engine(model):
    """Tight: prompts come in chunks, rows are put off for want of room, and what is cached is found again."""
    made = VllmEngine(
        model, most=32, max_model_len=1024, max_num_batched_tokens=160, num_gpu_blocks_override=56, block_size=32,
        enforce_eager=True,
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture(scope="module")
def recipes():
    """None; a clamp; a gate that goes on from the prompt's last token; one that reads it again; several edits at
    several layers in the user's turns, fading; and an SAE in the residual's place."""
    refusal, guarded, clamp = (Recipe.load(bundled_path(name)) for name in ("refusal", "guarded", "guarded-clamp"))
    several = Recipe(
        "several",
        refusal.model,
        refusal.model_sha256,
        (
            Clamp(SAE, "", 12, {405: 3.0, 17: 0.0}, operation="multiply"),
            Direction(12, 6.0, seed=1),
            Direction(20, 1.0, "remove", seed=2),
        ),
        Positions(prompt="user", generated=4, fade=6),
    )
    whole = Recipe(
        "whole", refusal.model, refusal.model_sha256, (Clamp(SAE, "", 12, {405: 20.0}, rule="reconstruct"),),
        Positions(prompt="last", generated=6),
    )  # fmt: skip
    return [None, refusal, guarded, clamp, several, whole]


@pytest.fixture(scope="module")
def prompts(model):
    texts = selecting_prompts("unsafe", 25, 0) + selecting_prompts("safe", 25, 0)
    return [model.prompt_ids(text) for text in texts]


def run(engine, requests):
    numbers = [engine.submit(request) for request in requests]
    answers = {}
    while not engine.idle:
        answers |= {event.request: event.answer for event in engine.step() if event.answer is not None}
    return [answers[number] for number in numbers]


def mixed(prompts, recipes):
    return [Request(prompt, recipe, Sampling(TOKENS)) for prompt in prompts for recipe in recipes]


@pytest.fixture(scope="module")
def expected(model, prompts, recipes):
    return run(LocalEngine(model), mixed(prompts, recipes))


def test_fifty_prompts_under_six_recipes_in_one_batch(engine, prompts, recipes, expected, monkeypatch):
    core = engine._vllm.engine_core.engine_core
    put_off, original = [], core.scheduler._preempt_request
    monkeypatch.setattr(
        core.scheduler,
        "_preempt_request",
        lambda request, *a, **k: (put_off.append(request), original(request, *a, **k)),
    )
    answers = run(engine, mixed(prompts, recipes))
    assert put_off, "the test is to put rows off"
    wrong = [
        (place // 6, place % 6, got.text, want.text)
        for place, (got, want) in enumerate(zip(answers, expected, strict=True))
        if got.ids != want.ids
    ]
    assert wrong == []
    for got, want in zip(answers, expected, strict=True):
        assert (got.finished, got.error, got.receipt.gate) == (want.finished, "", want.receipt.gate)
        assert got.receipt.tokens_edited == want.receipt.tokens_edited
        assert got.receipt.relative_norm == pytest.approx(want.receipt.relative_norm, rel=1e-3)
        assert got.receipt.score == pytest.approx(want.receipt.score, abs=1e-3)
        assert got.receipt.path == want.receipt.path
    assert {got.receipt.gate for got in answers[2::6]} == {"open", "shut"}


def test_nothing_is_left_behind(engine, prompts, recipes, expected):
    """The same prompts again, unsteered beside steered ones, meet what was cached of both."""
    few = prompts[:4]
    for _ in range(2):
        assert [answer.ids for answer in run(engine, mixed(few, recipes))] == [
            want.ids for want in expected[: 4 * len(recipes)]
        ]
    assert worker(engine).live.keys() <= set() or not engine.idle or len(worker(engine).live) <= 32


def worker(engine):
    return engine._vllm.model_executor.driver_worker.worker.model_runner.clampdown
