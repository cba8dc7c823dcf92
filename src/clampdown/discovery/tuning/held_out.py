"""What a recipe does to prompts that it was not tuned on, by answers: the choice of its strength, and the report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from clampdown.discovery.gates.rows import GateRow
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.judging.default.judge import REFUSING, Label, judge, loops
from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.measuring.statistics.rates import Interval
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress
from clampdown.recipe import Recipe

_BATCH = 48
FACTORS = (0.35, 0.5, 0.7, 1.0)
"""Strengths tried, as multiples of what was trained."""
_NEAR = 0.02
"""How much less may be refused for a smaller strength to do."""


@dataclass(frozen=True)
class HeldOut:
    """Rates of the answers to some prompts that could be scored.

    Attributes:
        coherent: refusals that do not loop; None where no answer could be scored.
        refused: refusals, looping or not.
        n: answers that could be scored.
        looping, incoherent: shares of them.
        ended: the share that stopped by itself.
    """

    coherent: Interval | None
    refused: Interval | None
    n: int
    looping: float
    incoherent: float
    ended: float

    @property
    def rate(self) -> float:
        return self.coherent.value if self.coherent else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        told = {
            key: interval and interval._asdict()
            for key, interval in (("coherent", self.coherent), ("refused", self.refused))
        }
        return told | {"n": self.n, "looping": self.looping, "incoherent": self.incoherent, "ended": self.ended}


def held_out(
    model: ChatModel,
    recipes: Sequence[Recipe | None],
    rows: Sequence[GateRow],
    sampling: Sampling,
    progress: Progress,
    stage: str,
) -> list[HeldOut]:
    """What each recipe, its gate left out, does to the rows; answers are greedy, and made side by side."""
    bare = [recipe and ungated(recipe) for recipe in recipes]
    asked = [(number, place) for place in range(len(rows)) for number in range(len(bare))]
    rendered = {
        system: [model.prompt_ids(row.chat, system=system, room=sampling.max_new_tokens) for row in rows]
        for system in {_system(recipe) for recipe in bare}
    }
    asked.sort(key=lambda pair: len(rows[pair[1]].text))
    told: dict[tuple[int, int], _Told] = {}
    for start in range(0, len(asked), _BATCH):
        some = asked[start : start + _BATCH]
        prompts = [rendered[_system(bare[number])][place] for number, place in some]
        answers = generate(model, prompts, [bare[number] for number, _ in some], sampling)
        for pair, answer in zip(some, answers, strict=True):
            text = rows[pair[1]].text
            label = judge(text, answer.text, truncated=not answer.finished)
            told[pair] = _Told(label, loops(text, answer.text), answer.finished)
        progress(stage, len(some), len(asked), "")
    return [_rates(rows, [told[number, place] for place in range(len(rows))]) for number in range(len(bare))]


def ungated(recipe: Recipe) -> Recipe:
    """The recipe without its gate: its edits are made whatever is asked."""
    return replace(recipe, gate=None)


def weakest(tried: Sequence[tuple[float, HeldOut]]) -> float:
    """The smallest factor that refuses coherently about as often as the best."""
    best = max(result.rate for _, result in tried)
    return min(factor for factor, result in tried if result.rate >= best - _NEAR - 1e-9)


@dataclass(frozen=True)
class _Told:
    label: Label
    loops: bool
    ended: bool


def _system(recipe: Recipe | None) -> str | None:
    return (recipe.system_prompt or None) if recipe else None


def _rates(rows: Sequence[GateRow], told: Sequence[_Told]) -> HeldOut:
    kept = [(row, one) for row, one in zip(rows, told, strict=True) if one.label is not Label.UNSCORED]
    if not kept:
        return HeldOut(None, None, 0, 0.0, 0.0, 0.0)
    clusters, n = [row.cluster for row, _ in kept], len(kept)
    refused = [one.label in REFUSING for _, one in kept]
    coherent = [no and not one.loops for no, (_, one) in zip(refused, kept, strict=True)]
    return HeldOut(
        clustered_rate([float(no) for no in coherent], clusters),
        clustered_rate([float(no) for no in refused], clusters),
        n,
        sum(one.loops for _, one in kept) / n,
        sum(one.label is Label.INCOHERENT for _, one in kept) / n,
        sum(one.ended for _, one in kept) / n,
    )
