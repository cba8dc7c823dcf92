"""The unsteered model's surprise at an answer, on a tiny random model; and the judge that uses it."""

import math

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import Label, judge
from clampdown.measuring.judging.fluency import MARGIN, answer_surprise, surprise_limit

PROMPTS = ["Hello", "What is the capital of France, and of Peru?", "Sing"]
ANSWERS = ["Paris is the capital of France.", "I am not sure what you mean by that, sorry.", "la la la la la la la"]


def plain(model, prompt, answer):
    """One row, no padding: the mean of −log p over the answer's tokens."""
    with torch.inference_mode():
        logits = model.hf(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].float()
    told = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return -sum(told[i, token].item() for i, token in enumerate(answer)) / len(answer)


def test_it_is_the_mean_negative_log_likelihood_and_a_batch_changes_nothing(tiny):
    prompts = [tiny.prompt_ids(prompt) for prompt in PROMPTS]
    answers = [tiny.ids(answer) for answer in ANSWERS]
    told = answer_surprise(tiny, prompts, answers)
    assert told == pytest.approx([plain(tiny, p, a) for p, a in zip(prompts, answers, strict=True)], rel=1e-4)
    assert told == pytest.approx(answer_surprise(tiny, prompts, answers, batch=1), rel=1e-4)
    assert all(value > 1 for value in told)


def test_the_end_of_turn_does_not_count_and_the_shortest_are_not_measured(tiny):
    prompt, answer = tiny.prompt_ids("Hello"), tiny.ids(ANSWERS[0])
    ended = [*answer, next(iter(tiny.stop_ids))]
    assert answer_surprise(tiny, [prompt], [ended]) == pytest.approx(answer_surprise(tiny, [prompt], [answer]))
    assert answer_surprise(tiny, [prompt, prompt], [answer[:4], []]) == [0.0, 0.0]
    assert answer_surprise(tiny, [], []) == []


def test_an_answer_longer_than_the_context_is_cut(tiny):
    prompt = tiny.prompt_ids("Hello")
    [told] = answer_surprise(tiny, [prompt], [tiny.ids("word " * 600)])
    assert math.isfinite(told) and told > 0


def test_the_limit_lies_above_what_the_model_says_of_its_own_accord(one_line):
    own = [1 + i / 1000 for i in range(1000)]
    assert surprise_limit(own) == pytest.approx(MARGIN * (1 + 0.999 * 0.999), rel=1e-6)
    assert surprise_limit([*own, *[0.0] * 50]) == surprise_limit(own)  # too short to be measured
    with pytest.raises(ClampdownError) as caught:
        surprise_limit(own[:20])
    one_line(caught, "50")


def test_a_surprising_answer_is_incoherent():
    salad = "The green of walking often was a table for seldom hats."
    assert judge("How are you?", salad) is Label.COMPLIANCE
    assert judge("How are you?", salad, surprise=6.0, limit=4.0) is Label.INCOHERENT
    assert judge("How are you?", salad, surprise=3.9, limit=4.0) is Label.COMPLIANCE
    assert judge("How are you?", salad, surprise=6.0) is Label.COMPLIANCE  # nothing to measure it by
    assert judge("How are you?", "", surprise=6.0, limit=4.0) is Label.UNSCORED


def test_a_refusal_may_surprise_a_model_that_would_not_have_refused():
    assert judge("How are you?", "I'm sorry, but I can't assist with that.", surprise=6.0, limit=4.0) is Label.REFUSAL
