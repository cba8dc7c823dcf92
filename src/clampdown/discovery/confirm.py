"""Confirm a choice by generation: how strong must the clamp be for the model to refuse, in its own words?"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.judge import REFUSING, Label, judge
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe

_BATCH = 48


class Confirmed(NamedTuple):
    """Refusal rates of one strength by generation: fractions of unsafe and safe prompts, and of babble on unsafe."""

    factor: float
    unsafe: float
    safe: float
    incoherent: float

    @property
    def worth(self) -> float:
        """Refusals of unsafe prompts, less a quarter of those of safe ones: how trials are compared."""
        return self.unsafe - self.safe / 4


def confirm(
    model: ChatModel, recipe: Recipe, factor: float, unsafe: Sequence[str], safe: Sequence[str], sampling: Sampling
) -> Confirmed:
    """Greedy answers under the recipe, judged."""
    labels = _labels(model, recipe, [*unsafe, *safe], sampling)  # in one batch, where it holds them all
    first, second = labels[: len(unsafe)], labels[len(unsafe) :]
    rate = [sum(label in REFUSING for label in labels) / max(1, len(labels)) for labels in (first, second)]
    babble = sum(label is Label.INCOHERENT for label in first) / max(1, len(first))
    return Confirmed(factor, rate[0], rate[1], babble)


def strongest_needed(
    at: Callable[[float], Confirmed], factors: Sequence[float], target: float
) -> tuple[Confirmed, list[Confirmed]]:
    """The weakest factor that reaches the target, else the one that refuses most; and all that was tried."""
    tried: list[Confirmed] = []
    for factor in factors:
        tried.append(at(factor))
        if tried[-1].unsafe >= target:
            return tried[-1], tried
        if len(tried) > 1 and tried[-1].unsafe < tried[-2].unsafe - 0.1:
            break  # past the peak: more clamping only breaks the answers
    return max(tried, key=lambda c: c.worth), tried


def _labels(model: ChatModel, recipe: Recipe, prompts: Sequence[str], sampling: Sampling) -> list[Label]:
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    labels = dict.fromkeys(range(len(prompts)), Label.UNSCORED)
    for start in range(0, len(order), _BATCH):
        batch = [prompts[place] for place in order[start : start + _BATCH]]
        answers = generate(model, [model.prompt_ids(p) for p in batch], [recipe] * len(batch), sampling)
        for place, prompt, answer in zip(order[start : start + _BATCH], batch, answers, strict=True):
            labels[place] = judge(prompt, answer.text, truncated=not answer.finished)
    return list(labels.values())
