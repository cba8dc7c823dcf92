"""Gates of rows whose prompts come in a call that somebody else makes: asked by reading these once more before."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt, Spans
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import NO_GATE
from clampdown.steering.decision import Decision, by_score
from clampdown.steering.gates.compiled import compile_gate
from clampdown.steering.gates.reading import gate_scores
from clampdown.steering.positions import Places


class Asking:
    """The gates of some recipes, one for each row or one for all; None has nothing to ask.

    user_turns: as `Steering` has them; a prompt without any is read whole.

    Raises:
        ClampdownError: a gate does not fit the model.
    """

    def __init__(
        self, model: ChatModel, recipes: Sequence[Recipe | None], user_turns: Sequence[Spans | None] | None
    ) -> None:
        self.model, self.recipes, self.turns = model, list(recipes), user_turns
        self.gates = {recipe: compile_gate(model, recipe) for recipe in recipes if asks(recipe) and recipe}
        self._ids: Tensor | None = None  # of the prompts, once they were read, and what was said without a cache

    @property
    def layers(self) -> set[int]:
        """Those that may come to be edited."""
        return {edit.layer for recipe in self.gates for edit in recipe.edits}

    def ask(self, ids: Tensor, past: int, places: Places) -> list[Decision | None] | None:
        """What the gates say of a call with these ids [row, column] after `past` columns; None once they have decided.

        The model is run, and no steering may be on.

        Raises:
            ClampdownError: it can't be told that the call holds whole prompts, and nothing but them.
        """
        if self._ids is None:
            if past or ids.dim() != 2:
                raise ClampdownError(
                    "a recipe has a gate, which must see all of the prompt's token ids in one call, before a cache "
                    f"keeps anything of it; or answer by `generate`, {NO_GATE}"
                )
            self._ids = ids
            return self._decided(ids, places)
        known = self._ids.shape[1]
        if not past and ids.shape[1] > known and torch.equal(ids[:, :known], self._ids):
            self._ids = ids  # decoding without a cache
        elif not past or ids.shape[1] > 1:
            raise ClampdownError(
                "a recipe's gate has decided on one prompt already, and more than an answer's next token came: open "
                f"another steering for each prompt, and read it in one call; or answer by `generate`, {NO_GATE}"
            )
        return None

    def _decided(self, ids: Tensor, places: Places) -> list[Decision | None]:
        rows, inside = len(ids), places.real & (places.position < places.prompt_length)
        recipes = self.recipes if len(self.recipes) == rows else self.recipes * rows
        turns = [None] * rows if self.turns is None else self.turns
        prompts = [Prompt(row[real].tolist(), told) for row, real, told in zip(ids, inside, turns, strict=True)]
        found: list[Decision | None] = [None] * rows
        for recipe, gate in self.gates.items():
            mine = [row for row in range(rows) if recipes[row] == recipe]
            scores = gate_scores(self.model, gate, [prompts[row] for row in mine])
            for row, score in zip(mine, scores, strict=True):
                found[row] = by_score(recipe, score, gate.threshold, len(prompts[row]))
        return found


def asks(recipe: Recipe | None) -> bool:
    """Whether a recipe has a gate that scores prompts."""
    return recipe is not None and recipe.gate is not None and recipe.gate.asks and bool(recipe.gate.file)
