"""The requests that ask for steering, by vLLM's numbers: what was decided and done so far. Each leaves with its own."""

from dataclasses import dataclass

from clampdown.models.prompt import Prompt
from clampdown.plugins.vllm.gating import PromptReading
from clampdown.plugins.vllm.recipes import Recipes
from clampdown.plugins.vllm.wire import Asked
from clampdown.recipe import Recipe
from clampdown.steering.decision import Decision, by_score, unasked
from clampdown.steering.receipt import Receipt


@dataclass
class Steered:
    """One request.

    Attributes:
        decision: what its gate said; None where it has none, or has not decided yet.
        reading: what the gate has read so far, until it decides.
        counted, marked: so many tokens are counted as seen, and what was done to them: what is read again after being
            put off counts once.
        restarts: its prompt is to be read again from its first token, which the scheduler is to be told.
        waits: nothing is done to it before that.
        seen, edited, edits, push: tokens seen and edited, those found in the cache included; edits made, and
            Σ ‖Δ‖/‖x‖ over these.
        error: why it failed.
    """

    asked: Asked
    prompt: Prompt
    decision: Decision | None = None
    reading: PromptReading | None = None
    counted: int = 0
    marked: int = 0
    restarts: bool = False
    waits: bool = False
    seen: int = 0
    edited: int = 0
    edits: int = 0
    push: float = 0.0
    paths: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def of(cls, asked: Asked, prompt_ids: list[int], recipes: Recipes) -> "Steered":
        """A request that joins.

        Raises:
            ClampdownError: its recipe or gate does not fit the model, or a decision is missing.
        """
        prompt, recipe = Prompt(prompt_ids, asked.user), asked.recipe
        paths = tuple(dict.fromkeys(edit.path for edit in recipes.compile(recipe)))
        made = cls(asked, prompt, unasked(recipe, asked.decision), paths=paths)
        gate = recipes.gate(recipe)
        if gate is not None and made.decision is None:
            made.reading = PromptReading(recipes.model, gate, prompt)
        return made

    @property
    def recipe(self) -> Recipe | None:
        """The recipe that edits its tokens now; None before a gate has decided, and where it is shut."""
        if self.reading is not None or (self.decision is not None and not self.decision.steers):
            return None
        return self.asked.recipe

    def decide(self, here: bool) -> bool:
        """Let its gate decide, the prompt having been read; whether the pass is to be made again, steered.

        here: that pass holds all that is to be read again; else it has to be scheduled anew.
        """
        assert self.reading is not None
        recipe, score = self.asked.recipe, self.reading.score()
        again = 1 if recipe.positions.prompt == "last" else len(self.prompt)
        self.decision = by_score(recipe, score, self.reading.gate.threshold, again)
        self.reading = None
        if self.decision.read_again and not here:
            self.restarts = self.waits = True
        return bool(self.decision.read_again) and here

    def decide_blindly(self) -> None:
        """The gate can't be evaluated: it is open."""
        self.decision, self.reading = Decision(self.asked.recipe, True), None

    def receipt(self) -> Receipt:
        told = Receipt(tokens_seen=self.seen)
        if self.decision is None or self.decision.steers:
            push = self.push / self.edits if self.edits else 0.0
            path = "+".join(self.paths) or "none"
            told = Receipt(self.asked.recipe.sha256, self.seen, self.edited, push, path)
        return told if self.decision is None else self.decision.noted(told)
