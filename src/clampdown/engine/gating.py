"""Rows whose recipes have gates: which are steered from the start, what the others' prompts score, who is read again.

The reference, which every other way must equal: a prompt is read unsteered, its gate decides, and where it opens the
prompt is read again, steered, and answered from what that left: from the first token on that the window holds, for
those before it are read as they were.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from clampdown.engine.prefilled import Opened
from clampdown.models import key_values
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import crops, joins
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.decision import by_score, unasked
from clampdown.steering.gates.asking import asks
from clampdown.steering.gates.compiled import CompiledGate, compile_gate
from clampdown.steering.gates.reading import Reading
from clampdown.steering.positions import PlaceTracker

T = TypeVar("T")


def check_fits(model: ChatModel, recipe: Recipe | None) -> None:
    """Raises ClampdownError if a recipe, its SAEs or its gate do not fit the model."""
    Steering(model, recipe, decided=True)
    if recipe is not None and asks(recipe):
        compile_gate(model, recipe)


class Gates:
    """The gates of a batch's rows.

    Attributes:
        decisions: what each row's gate said; None where there is none, or before `decide`.
        first: the recipe under which each row is read first; None where it is unsteered, or read to be scored.
        scored: the rows that are.

    Raises:
        ClampdownError: a gate's file can't be read or is for another model; a gate decides outside, and no decision was
            `brought`.
    """

    def __init__(
        self,
        model: ChatModel,
        prompts: Sequence[Sequence[int]],
        recipes: Sequence[Recipe | None],
        brought: Sequence[bool | None] | None = None,
    ) -> None:
        self.model, self.prompts, self.recipes = model, prompts, recipes
        told = [None] * len(recipes) if brought is None else brought
        self.decisions = [unasked(recipe, one) for recipe, one in zip(recipes, told, strict=True)]
        self.scored: dict[int, CompiledGate] = {}
        for row, (recipe, decision) in enumerate(zip(recipes, self.decisions, strict=True)):
            if recipe is not None and asks(recipe) and decision is None:
                self.scored[row] = compile_gate(model, recipe)
        self.first = [
            None if row in self.scored or (decision and not decision.steers) else recipe
            for row, (recipe, decision) in enumerate(zip(recipes, self.decisions, strict=True))
        ]
        self._readings: list[tuple[list[int], Reading]] = []

    def readings(self, shared: int, early: Mapping[str, Sequence[Tensor]] | None = None) -> list[Reading]:
        """One for each gate's file, for prompts of which the first `shared` tokens are read in a call of their own.

        early: what was taken from that call before, by the hash of the gate's file.
        """
        by_file: dict[str, list[int]] = {}
        for row, gate in self.scored.items():
            by_file.setdefault(gate.sha256, []).append(row)
        known = early or {}
        self._readings = [
            (rows, Reading(self.model, self.scored[rows[0]], _of(self.prompts, rows), rows, shared, known.get(sha256)))
            for sha256, rows in by_file.items()
        ]
        return [reading for _, reading in self._readings]

    def decide(self) -> list[int]:
        """Decide the rows whose prompts were scored; those that are to be read again, steered."""
        for rows, reading in self._readings:
            for row, score in zip(rows, reading.scores(), strict=True):
                recipe, threshold = self.recipes[row], self.scored[row].threshold
                assert recipe is not None
                again = 1 if self.from_last(recipe) else len(self.prompts[row])
                self.decisions[row] = by_score(recipe, score, threshold, again)
        return [row for row in self.scored if (decision := self.decisions[row]) and decision.read_again]

    def from_last(self, recipe: Recipe | None) -> bool:
        """Whether an open row under the recipe goes on from what was read before its prompt's last token."""
        return recipe is not None and recipe.positions.prompt == "last" and self._can_go_on

    @cached_property
    def _can_go_on(self) -> bool:
        return joins(self.model.hf) and crops(self.model.hf)

    @property
    def decided(self) -> list[Recipe | None]:
        """The recipe that each row goes on under."""
        pairs = zip(self.recipes, self.decisions, strict=True)
        return [recipe if decision is None or decision.steers else None for recipe, decision in pairs]


@torch.inference_mode()
def put_together(begun: Opened, again: Opened, rows: Sequence[int], prompts: Sequence[Sequence[int]]) -> Opened:
    """The batch of `prompts` in which these rows go on from where they were read again. Neither steering may be on."""
    others = [row for row in range(len(prompts)) if row not in set(rows)]
    index = torch.tensor(others, dtype=torch.long)
    key_values.choose_rows(begun.cache, index)
    begun.steering.rows.keep(index)
    here = index.to(begun.mask.device)
    cache, mask = key_values.joined([begun.cache, again.cache], [begun.mask[here], again.mask])
    begun.steering.join(again.steering)
    place = {row: at for at, row in enumerate([*others, *rows])}
    order = torch.tensor([place[row] for row in range(len(place))])
    key_values.choose_rows(cache, order)
    lengths, turns = list(map(len, prompts)), [user_turns(prompt) for prompt in prompts]
    begun.steering.fan_out(order)
    begun.steering.tracker = PlaceTracker(lengths, turns)
    there = order.to(mask.device)
    position, logits = (
        torch.cat([getattr(begun, name)[here], getattr(again, name)])[there] for name in ("position", "logits")
    )
    asked = ("gated", tuple(rows), begun.asked, again.asked)
    return Opened(begun.steering, cache, logits, mask[there], position, asked)


def _of(items: Sequence[T], rows: Sequence[int]) -> list[T]:
    return [items[row] for row in rows]
