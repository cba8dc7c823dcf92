"""What a recipe's gate says of prompts that nobody answers yet: they are read, unsteered, as far as the gate looks."""

import math
from collections.abc import Sequence

from clampdown.engine.prefill import in_order, read_together
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.decision import Decision, unasked
from clampdown.steering.gates.compiled import compile_gate
from clampdown.steering.gates.reading import gate_scores


def decided(
    model: ChatModel, prompts: Sequence[Sequence[int]], recipe: Recipe, brought: Sequence[bool | None] | None = None
) -> list[Decision]:
    """The gate's decision on each prompt (token ids), in one batch where a model bears it.

    brought: what a classifier outside has decided, where the gate is outside. A score that is not finite opens it.

    Raises:
        ClampdownError: the gate's file can't be read or is for another model; one that decides outside has not.
    """
    assert recipe.gate is not None
    told = [None] * len(prompts) if brought is None else brought
    found = [unasked(recipe, one) for one in told]
    if all(decision is not None for decision in found):
        return [decision for decision in found if decision is not None]
    gate = compile_gate(model, recipe)
    scores = in_order(
        read_together(model, prompts), lambda places: gate_scores(model, gate, [prompts[place] for place in places])
    )
    return [
        Decision(recipe, score >= gate.threshold, score, gate.threshold)
        if math.isfinite(score)
        else Decision(recipe, True)
        for score in scores
    ]
