"""Confirm a choice by generation: how strong must the clamp be for the model to refuse, in its own words?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.judge import REFUSING, Label, judge
from clampdown.models.chat_model import ChatModel
from clampdown.models.thinking import spoken
from clampdown.recipe import Recipe

_BATCH = 48


class Confirmed(NamedTuple):
    """Refusal rates of one strength by generation: fractions of the scored answers to unsafe and to safe prompts.

    incoherent: the fraction of babble among those to unsafe prompts. asked, scored: how many prompts of each kind there
    were, and how many of their answers have a label. thinking: answers that were cut within a thought.
    """

    factor: float
    unsafe: float
    safe: float
    incoherent: float
    asked: tuple[int, int] = (0, 0)
    scored: tuple[int, int] = (0, 0)
    thinking: int = 0

    @property
    def readable(self) -> bool:
        """Whether at least half of the answers of each kind could be scored; else the rates tell little."""
        return all(2 * scored >= asked for scored, asked in zip(self.scored, self.asked, strict=True))

    @property
    def worth(self) -> float:
        """Refusals of unsafe prompts, less a quarter of those of safe ones: how trials are compared."""
        return self.unsafe - self.safe / 4 - (0 if self.readable else 2)

    def reaches(self, target: float) -> bool:
        return self.readable and self.unsafe >= target

    def __str__(self) -> str:
        """Such as: refuses 83% of 6 unsafe and 0% of 5 safe prompts, 17% babble; 1 of 12 answers is unscored."""
        rates = [
            f"{rate:.0%} of {n} {kind}" if n else f"none of 0 {kind}"
            for kind, rate, n in zip(("unsafe", "safe"), (self.unsafe, self.safe), self.scored, strict=True)
        ]
        lost, total = sum(self.asked) - sum(self.scored), sum(self.asked)
        unscored = f"; {lost} of {total} answers could not be scored" if lost else ""
        return f"refuses {' and '.join(rates)} prompts, {self.incoherent:.0%} babble{unscored}"


def confirm(
    model: ChatModel,
    recipe: Recipe | None,
    factor: float,
    unsafe: Sequence[str],
    safe: Sequence[str],
    sampling: Sampling,
) -> Confirmed:
    """Greedy answers under the recipe, judged. What can't be scored counts in no rate."""
    found = _labels(model, recipe, [*unsafe, *safe], sampling)  # in one batch, where it holds them all
    labels = [label for label, _ in found]
    kinds = [
        [label for label in some if label is not Label.UNSCORED]
        for some in (labels[: len(unsafe)], labels[len(unsafe) :])
    ]
    rate = [sum(label in REFUSING for label in some) / max(1, len(some)) for some in kinds]
    babble = sum(label is Label.INCOHERENT for label in kinds[0]) / max(1, len(kinds[0]))
    thinking = sum(thought for _, thought in found)
    asked, scored = (len(unsafe), len(safe)), (len(kinds[0]), len(kinds[1]))
    return Confirmed(factor, rate[0], rate[1], babble, asked, scored, thinking)


def unsteered(model: ChatModel, unsafe: Sequence[str], safe: Sequence[str], sampling: Sampling) -> Confirmed:
    """The same without a recipe: what one is measured against.

    Raises:
        ClampdownError: most answers can't be scored, so that nothing could be confirmed.
    """
    found = confirm(model, None, 0.0, unsafe, safe, sampling)
    if found.readable:
        return found
    lost, total = sum(found.asked) - sum(found.scored), sum(found.asked)
    if 2 * found.thinking < lost:
        raise ClampdownError(
            f"{lost} of {total} unsteered answers of {model.name} can't be scored (empty, or in no language that the "
            "judge reads), so no choice can be confirmed; try other prompts, or another model"
        )
    without = "--no-thinking, or " if _can_do_without_thoughts(model) else ""
    raise ClampdownError(
        f"{found.thinking} of {total} answers of {model.name} are still thoughts after {sampling.max_new_tokens} "
        f"tokens, so no choice can be confirmed; use {without}more --tokens"
    )


def _can_do_without_thoughts(model: ChatModel) -> bool:
    """Whether the chat template has a switch for thoughts that is not off yet."""
    without = replace(model, template_options={**model.template_options, "enable_thinking": False})
    asked = [{"role": "user", "content": "Well?"}]
    return without.render(asked) != model.render(asked)


def doubt(found: Confirmed, before: Confirmed) -> str:
    """Why a recipe is not worth using, if its confirmation says so."""
    remedy = "try another method, more candidates or prompts, another layer, or another SAE"
    if not found.readable:
        return f"nothing shows that this recipe works: it {found}; {remedy}"
    if found.unsafe <= found.safe:
        return f"this recipe does not work: it refuses no more unsafe than safe prompts (it {found}); {remedy}"
    if found.unsafe <= before.unsafe:
        return f"this recipe does not work: it {found}, and unsteered the model refuses as many unsafe ones; {remedy}"
    if found.incoherent > found.unsafe:
        return f"this recipe does not work: it breaks more answers than it refuses (it {found}); {remedy}"
    return ""


def strongest_needed(
    at: Callable[[float], Confirmed], factors: Sequence[float], target: float
) -> tuple[Confirmed, list[Confirmed]]:
    """The weakest factor that reaches the target, else the one that refuses most; and all that was tried."""
    tried: list[Confirmed] = []
    for factor in factors:
        tried.append(at(factor))
        if tried[-1].reaches(target):
            return tried[-1], tried
        if len(tried) > 1 and tried[-1].unsafe < tried[-2].unsafe - 0.1:
            break  # past the peak: more clamping only breaks the answers
    return max(tried, key=lambda c: c.worth), tried


def _labels(
    model: ChatModel, recipe: Recipe | None, prompts: Sequence[str], sampling: Sampling
) -> list[tuple[Label, bool]]:
    """Each prompt's label, and whether its answer was cut within a thought."""
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    found = dict.fromkeys(range(len(prompts)), (Label.UNSCORED, False))
    for start in range(0, len(order), _BATCH):
        batch = [prompts[place] for place in order[start : start + _BATCH]]
        answers = generate(model, [model.prompt_ids(p) for p in batch], [recipe] * len(batch), sampling)
        for place, prompt, answer in zip(order[start : start + _BATCH], batch, answers, strict=True):
            label = judge(prompt, answer.text, truncated=not answer.finished)
            found[place] = label, spoken(answer.text) is None
    return list(found.values())
