"""The recipes that requests are under now, compiled and laid in banks, one for each layer."""

from collections.abc import Collection

import torch
from torch import Tensor

from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.attach import compiled
from clampdown.steering.bank import Bank
from clampdown.steering.edits import CompiledEdit
from clampdown.steering.gates.asking import asks
from clampdown.steering.gates.compiled import CompiledGate, compile_gate

_KEPT = 64
"""Recipes that stay in the banks though no request is under them; the banks are laid anew when others come."""


class Recipes:
    """Recipes of one model by their numbers in its banks.

    Attributes:
        banks: the bank of each layer at which a recipe has an edit.
    """

    def __init__(self, model: ChatModel) -> None:
        self.model = model
        self.banks: dict[int, Bank] = {}
        self._order: list[Recipe] = []
        self._numbers: dict[Recipe, int] = {}
        self._edits: dict[Recipe, list[CompiledEdit]] = {}
        self._has: dict[int, Tensor] = {}

    def compile(self, recipe: Recipe) -> list[CompiledEdit]:
        """A recipe's edits. Raises ClampdownError where it, or its gate, does not fit the model."""
        if recipe not in self._edits:
            edits = compiled(self.model, recipe)
            self.gate(recipe)
            self._edits[recipe] = edits
        return self._edits[recipe]

    def gate(self, recipe: Recipe) -> CompiledGate | None:
        """The gate of a recipe that scores prompts; None where it has none."""
        return compile_gate(self.model, recipe) if asks(recipe) else None

    def number(self, recipe: Recipe) -> int:
        return self._numbers[recipe]

    def has(self, layer: int) -> Tensor:
        """Whether each recipe, by number, has an edit at a layer: bool [recipe]."""
        return self._has[layer]

    def hold(self, live: Collection[Recipe]) -> None:
        """Let the banks hold these recipes; numbers may change."""
        if all(recipe in self._numbers for recipe in live):
            return
        for recipe in live:
            self.compile(recipe)
        now = dict.fromkeys(live)
        idle = [recipe for recipe in self._order if recipe not in now][-_KEPT:]
        self._order = [*idle, *now]
        self._numbers = {recipe: number for number, recipe in enumerate(self._order)}
        self._edits = {recipe: self._edits[recipe] for recipe in self._order}
        edits = [self._edits[recipe] for recipe in self._order]
        layers = sorted({edit.layer for some in edits for edit in some})
        at = {layer: [[edit for edit in some if edit.layer == layer] for some in edits] for layer in layers}
        self.banks = {layer: Bank(here) for layer, here in at.items()}
        self._has = {layer: torch.tensor([bool(some) for some in here]) for layer, here in at.items()}
