"""What the gate of a row's recipe said of its prompt."""

import math
from dataclasses import dataclass, replace

from clampdown.errors import ClampdownError
from clampdown.recipe import Recipe
from clampdown.steering.receipt import Receipt


@dataclass(frozen=True)
class Decision:
    """Whether a row is steered, and why.

    Attributes:
        recipe: the one whose gate was asked.
        open: whether the gate is.
        score, threshold: what was compared; None where the gate was forced, decides outside, or could not be evaluated.
        read_again: tokens of the prompt that were read a second time, now steered.
    """

    recipe: Recipe
    open: bool
    score: float | None = None
    threshold: float | None = None
    read_again: int = 0

    @property
    def steers(self) -> bool:
        assert self.recipe.gate is not None
        return self.open and self.recipe.gate.decide != "watch"

    def noted(self, receipt: Receipt) -> Receipt:
        """The row's receipt, with what the gate said."""
        return replace(
            receipt,
            recipe_sha256=self.recipe.sha256,
            gate="open" if self.open else "shut",
            score=self.score,
            threshold=self.threshold,
            read_again=self.read_again,
        )


def by_score(recipe: Recipe, score: float, threshold: float, again: int) -> Decision:
    """What a gate decides by its score of a prompt, of which so many tokens are read again where it is to be steered.

    One that is not finite can't be compared: the gate is open. Where the window leaves out the prompt, an open row goes
    on from what was read unsteered.
    """
    told = Decision(recipe, True)
    if math.isfinite(score):
        told = Decision(recipe, score >= threshold, score, threshold)
    reads = told.steers and recipe.positions.prompt != "none"
    return replace(told, read_again=again if reads else 0)


def unasked(recipe: Recipe | None, brought: bool | None = None) -> Decision | None:
    """What is decided without looking at the prompt; None where there is no gate, or one that scores.

    brought: what a classifier outside has decided.

    Raises:
        ClampdownError: the gate is outside, and no decision was brought.
    """
    if recipe is None or recipe.gate is None:
        return None
    gate = recipe.gate
    if not gate.asks:
        return Decision(recipe, gate.decide == "open")
    if not gate.external:
        return None
    if not isinstance(brought, bool):
        raise ClampdownError(
            f"recipe {recipe.name}: its gate, {gate.external}, decides outside; bring its decision with each request, "
            "or force the gate open"
        )
    return Decision(recipe, brought)
