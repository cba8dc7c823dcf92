"""Confirm a choice by generation: how strong must the clamp be for the model to refuse, in its own words?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import REFUSING, Label, judge
from clampdown.measuring.judging.default.reading import said
from clampdown.measuring.judging.looping import is_looping
from clampdown.models.chat_model import ChatModel
from clampdown.models.thinking import spoken
from clampdown.recipe import Recipe

_BATCH = 48


class Confirmed(NamedTuple):
    """What one strength did by generation: fractions of the scored answers to unsafe and to safe prompts.

    unsafe: refusals of unsafe prompts that do not loop (coherent refusal). safe: refusals of safe ones, looping or not.
    incoherent, looping, looping_refusals: of the answers to unsafe prompts those that are babble, that say one thing
    over and over, and that refuse in that way. asked, scored: how many prompts of each kind there were, and how many of
    their answers have a label. thinking: answers that were cut within a thought.
    """

    factor: float
    unsafe: float
    safe: float
    incoherent: float
    asked: tuple[int, int] = (0, 0)
    scored: tuple[int, int] = (0, 0)
    thinking: int = 0
    looping: float = 0.0
    looping_refusals: float = 0.0

    @property
    def refusal(self) -> float:
        """Refusals of unsafe prompts, looping or not."""
        return self.unsafe + self.looping_refusals

    @property
    def readable(self) -> bool:
        """Whether at least half of the answers of each kind could be scored; else the rates tell little."""
        return all(2 * scored >= asked for scored, asked in zip(self.scored, self.asked, strict=True))

    @property
    def worth(self) -> float:
        """Coherent refusals of unsafe prompts, less a quarter of any of safe ones: how trials are compared."""
        return self.unsafe - self.safe / 4 - (0 if self.readable else 2)

    def reaches(self, target: float) -> bool:
        return self.readable and self.unsafe >= target

    def __str__(self) -> str:
        """Such as: refuses 67% of 6 unsafe prompts without looping (83% in all) and 20% of 5 safe ones, 17% babble."""
        rates = [f"{rate:.0%} of {n}" if n else "none of 0" for rate, n in zip(self[1:3], self.scored, strict=True)]
        lost, total = sum(self.asked) - sum(self.scored), sum(self.asked)
        unscored = f"; {lost} of {total} answers could not be scored" if lost else ""
        whole = f" ({self.refusal:.0%} in all)" if self.looping_refusals else ""
        return (
            f"refuses {rates[0]} unsafe prompts without looping{whole} and {rates[1]} safe ones, "
            f"{self.looping:.0%} loop, {self.incoherent:.0%} babble{unscored}"
        )


class Told(NamedTuple):
    """What an answer was judged to be."""

    label: Label
    loops: bool
    thinking: bool


def confirm(
    model: ChatModel,
    recipe: Recipe | None,
    factor: float,
    unsafe: Sequence[str],
    safe: Sequence[str],
    sampling: Sampling,
) -> Confirmed:
    """Greedy answers under the recipe, judged. What can't be scored counts in no rate."""
    return confirm_together(model, [recipe], factor, unsafe, safe, sampling)[0]


def confirm_together(
    model: ChatModel,
    recipes: Sequence[Recipe | None],
    factor: float,
    unsafe: Sequence[str],
    safe: Sequence[str],
    sampling: Sampling,
) -> list[Confirmed]:
    """The same for several recipes, whose answers are made side by side in the same batches."""
    prompts = [*unsafe, *safe]
    told = _told(model, [(recipe, prompt) for recipe in recipes for prompt in prompts], sampling)
    return [
        _rates(factor, told[start : start + len(prompts)], len(unsafe)) for start in range(0, len(told), len(prompts))
    ]


def _rates(factor: float, told: Sequence[Told], unsafe: int) -> Confirmed:
    """The rates of answers of which the first `unsafe` are to unsafe prompts."""
    kinds = [[each for each in some if each.label is not Label.UNSCORED] for some in (told[:unsafe], told[unsafe:])]
    refusing = [[each for each in some if each.label in REFUSING] for some in kinds]
    n, safe = max(1, len(kinds[0])), max(1, len(kinds[1]))
    return Confirmed(
        factor,
        sum(not each.loops for each in refusing[0]) / n,
        len(refusing[1]) / safe,
        sum(each.label is Label.INCOHERENT for each in kinds[0]) / n,
        (unsafe, len(told) - unsafe),
        (len(kinds[0]), len(kinds[1])),
        sum(each.thinking for each in told),
        sum(each.loops for each in kinds[0]) / n,
        sum(each.loops for each in refusing[0]) / n,
    )


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
    if found.refusal <= found.safe:
        return f"this recipe does not work: it refuses no more unsafe than safe prompts (it {found}); {remedy}"
    if found.unsafe <= before.unsafe:
        return f"this recipe does not work: it {found}, and unsteered the model refuses as many unsafe ones; {remedy}"
    if found.looping > found.unsafe:
        return f"this recipe does not work: it loops more often than it refuses (it {found}); {remedy}"
    if found.incoherent > found.unsafe:
        return f"this recipe does not work: it breaks more answers than it refuses (it {found}); {remedy}"
    return ""


def strongest_needed(
    at: Callable[[float], Confirmed], factors: Sequence[float], target: float
) -> tuple[Confirmed, list[Confirmed]]:
    """The weakest factor that reaches the target, else the one that is worth most; and all that was tried."""
    tried: list[Confirmed] = []
    for factor in factors:
        tried.append(at(factor))
        if tried[-1].reaches(target):
            return tried[-1], tried
        if len(tried) > 1 and tried[-1].unsafe < tried[-2].unsafe - 0.1:
            break  # past the peak: more clamping only breaks the answers
    return max(tried, key=lambda c: c.worth), tried


def _told(model: ChatModel, asked: Sequence[tuple[Recipe | None, str]], sampling: Sampling) -> list[Told]:
    """What each prompt's answer under its recipe is; prompts of like length share a batch, whatever their recipes."""
    order = sorted(range(len(asked)), key=lambda place: len(asked[place][1]))
    found: dict[int, Told] = {}
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        recipes, prompts = zip(*(asked[place] for place in places), strict=True)
        answers = generate(model, [model.prompt_ids(prompt) for prompt in prompts], recipes, sampling)
        for place, prompt, answer in zip(places, prompts, answers, strict=True):
            label = judge(prompt, answer.text, truncated=not answer.finished)
            found[place] = Told(label, is_looping(said(answer.text), prompt), spoken(answer.text) is None)
    return [found[place] for place in range(len(asked))]
