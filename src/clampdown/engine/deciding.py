"""What a recipe's gate says of prompts that nobody answers yet: they are read, unsteered, as far as the gate looks."""

from collections.abc import Sequence
from dataclasses import replace

from clampdown.engine.prefill import in_order, read_together
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.decision import Decision, by_score, unasked
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
    known = [decision for one in told if (decision := unasked(recipe, one)) is not None]
    if len(known) == len(prompts):
        return known
    gate = compile_gate(model, recipe)
    scores = in_order(
        read_together(model, prompts), lambda places: gate_scores(model, gate, [prompts[place] for place in places])
    )
    found = [
        by_score(recipe, score, gate.threshold, len(prompt)) for score, prompt in zip(scores, prompts, strict=True)
    ]
    return [replace(decision, read_again=0) for decision in found]
