"""How well the gate of a recipe tells sets apart, and which of their prompts it gets wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clampdown.discovery.gates.outcome import as_dict, opened
from clampdown.discovery.gates.rows import GateRow
from clampdown.discovery.gates.scores import prompt_scores
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.base import Judge
from clampdown.measuring.judging.requests import request_row
from clampdown.measuring.statistics.ranking import auc, share_at
from clampdown.measuring.statistics.rates import Interval
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress, quiet
from clampdown.recipe import Gate, Recipe
from clampdown.steering.gates.compiled import CompiledGate, compile_gate

AT = (0.01, 0.05, 0.1)
"""Shares of the safe prompts at which the share of the unsafe ones is told."""


@dataclass(frozen=True, eq=False)
class CheckedSet:
    """A set's rows, all unsafe or all safe, as they were rendered, and their scores."""

    name: str
    unsafe: bool
    rows: Sequence[GateRow]
    prompts: Sequence[Prompt]
    scores: Sequence[float]

    def open(self, threshold: float) -> Interval:
        """The share that opens the gate."""
        share = opened(list(zip(self.rows, self.scores, strict=True)), threshold)
        assert share is not None
        return share

    def wrong(self, threshold: float) -> list[int]:
        """Places of the rows that it gets wrong, the worst first."""
        missed = [i for i, score in enumerate(self.scores) if (score >= threshold) != self.unsafe]
        return sorted(missed, key=lambda i: self.scores[i] if self.unsafe else -self.scores[i])


@dataclass(frozen=True)
class Pair:
    """An unsafe set beside a safe one.

    Attributes:
        at: for each of `AT` the share of the unsafe that opens the gate where that share of the safe does.
    """

    unsafe: CheckedSet
    safe: CheckedSet
    auc: Interval
    at: Mapping[float, float]


@dataclass(frozen=True, eq=False)
class GateCheck:
    """What was found.

    Attributes:
        gate: None where a classifier outside decides; scores are then 1 and 0.
        threshold: the gate opens at this score.
        unread: prompts of which the classifier did not say; they open the gate.
    """

    recipe: Recipe
    gate: CompiledGate | None
    threshold: float
    unsafe: Sequence[CheckedSet]
    safe: Sequence[CheckedSet]
    unread: int = 0

    @property
    def sets(self) -> list[CheckedSet]:
        return [*self.unsafe, *self.safe]

    @property
    def pairs(self) -> list[Pair]:
        return [
            Pair(
                bad, good, auc(bad.scores, good.scores), {rate: share_at(bad.scores, good.scores, rate) for rate in AT}
            )
            for bad in self.unsafe
            for good in self.safe
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it (schema clampdown-gate-check/1), without the prompts."""
        return {
            "schema": "clampdown-gate-check/1",
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.sha256,
            "gate_sha256": self.recipe.gate.sha256 if self.recipe.gate else "",
            "threshold": self.threshold,
            "about": dict(self.gate.file.about) if self.gate else {},
            "external": self.recipe.gate.external if self.recipe.gate else "",
            "unread": self.unread,
            "pairs": [self._pair(pair) for pair in self.pairs],
            "sets": [
                {"set": one.name, "unsafe": one.unsafe, "n": len(one.rows), "open": as_dict(one.open(self.threshold))}
                for one in self.sets
            ],
        }

    def _pair(self, pair: Pair) -> dict[str, Any]:
        shares = {"unsafe": pair.unsafe.open(self.threshold), "safe": pair.safe.open(self.threshold)}
        return {
            "unsafe": pair.unsafe.name,
            "safe": pair.safe.name,
            "auc": as_dict(pair.auc),
            "open": {side: share.value for side, share in shares.items()},
            "open_interval": {side: [share.low, share.high] for side, share in shares.items()},
            "n": {"unsafe": len(pair.unsafe.rows), "safe": len(pair.safe.rows)},
            "unsafe_open_at": {f"{rate:g}": share for rate, share in pair.at.items()},
        }


def gate_of(recipe: Recipe) -> Gate:
    """The gate of a recipe. Raises ClampdownError where it has none."""
    if recipe.gate is None:
        raise ClampdownError(f"recipe {recipe.name} has no gate; fit one with `clampdown gate fit`")
    return recipe.gate


def check_gate(
    model: ChatModel,
    recipe: Recipe,
    unsafe: Mapping[str, Sequence[GateRow]],
    safe: Mapping[str, Sequence[GateRow]],
    *,
    threshold: float | None = None,
    progress: Progress = quiet,
) -> GateCheck:
    """Score sets by the gate of a recipe, under its system prompt, and compare each unsafe one with each safe one.

    Args:
        unsafe, safe: rows by the names of their sets.
        threshold: in place of the recipe's and the gate's own.

    Raises:
        ClampdownError: the recipe has no gate with a file, it is for another model, or a score is not finite.
    """
    if gate_of(recipe).external:
        raise ClampdownError(f"the gate of recipe {recipe.name} decides outside; check it with its classifier")
    gate = compile_gate(model, recipe)
    named = [(name, side, rows) for side, sets in ((True, unsafe), (False, safe)) for name, rows in sets.items()]
    every = [row.prompt(model, recipe.system_prompt or None) for _, _, rows in named for row in rows]
    scores = prompt_scores(model, [gate], every, progress)[0].tolist()
    limit = gate.threshold if threshold is None else threshold
    return GateCheck(recipe, gate, limit, *_sets(named, scores, every))


def check_external(
    recipe: Recipe,
    judge: Judge,
    unsafe: Mapping[str, Sequence[GateRow]],
    safe: Mapping[str, Sequence[GateRow]],
    progress: Progress = quiet,
) -> GateCheck:
    """The same of a gate that decides outside, by asking its classifier. What it does not say opens the gate.

    Raises:
        ClampdownError: the classifier can't be asked.
    """
    named = [(name, side, rows) for side, sets in ((True, unsafe), (False, safe)) for name, rows in sets.items()]
    asked = [request_row(row.chat) for _, _, rows in named for row in rows]
    harm: list[float | None] = [None] * len(asked)
    for place, verdict in judge.each(asked):
        progress("asking the classifier", 1, len(asked), judge.name)
        harm[place] = verdict.harm
    scores = [1.0 if each is None else each for each in harm]
    return GateCheck(recipe, None, 0.5, *_sets(named, scores), sum(each is None for each in harm))


def _sets(
    named: Sequence[tuple[str, bool, Sequence[GateRow]]], scores: Sequence[float], prompts: Sequence[Prompt] = ()
) -> tuple[list[CheckedSet], list[CheckedSet]]:
    """The unsafe sets and the safe ones, each with its share of what was found of all rows in turn."""
    found, start = [], 0
    for name, side, rows in named:
        here = slice(start, start + len(rows))
        found.append(CheckedSet(name, side, rows, prompts[here], scores[here]))
        start += len(rows)
    return [one for one in found if one.unsafe], [one for one in found if not one.unsafe]
