"""How a recipe is tuned: what a caller may choose."""

from dataclasses import dataclass, replace

from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.recipe import Positions

KINDS = ("direction", "clamp")
STARTS = ("zero", "means")


@dataclass(frozen=True)
class TuneOptions:
    """What is trained, on how much, and how its strength is chosen.

    Attributes:
        kind: "direction", a vector that is added, or "clamp", the values of an SAE's latents.
        layer: of a direction; None is the recipe's lowest, or two fifths of the depth where it edits none.
        latents: of a clamp, choose so many of the SAE's; None keeps the recipe's own.
        start: where a direction begins: at "zero", or at the difference in "means" of refusing and complying answers.
        prompt, generated: the window, as `Positions` has it; None is the recipe's.
        rows: prompts trained on at most; nor are more than so many used for anything else.
        choosing, confirming, safe: unsafe prompts that choose the strength, others that confirm, and safe ones.
        steps: of the optimiser, each on `batch` rows.
        rate: how far a step may move the edit, as a share of a typical residual's length.
        tokens: of each answer that chooses and confirms; fewer hide loops.
    """

    kind: str = "direction"
    layer: int | None = None
    latents: int | None = None
    start: str = "zero"
    prompt: str | None = None
    generated: str | int | None = None
    rows: int = 240
    choosing: int = 48
    confirming: int = 64
    safe: int = 40
    steps: int = 20
    batch: int = 12
    rate: float = 0.15
    tokens: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for key, given, known in (("kind", self.kind, KINDS), ("start", self.start, STARTS)):
            if given not in known:
                raise ClampdownError(f"{key} must be {' or '.join(known)}, got {given!r}")
        for key in ("rows", "choosing", "confirming", "safe", "steps", "batch", "tokens"):
            if getattr(self, key) < 1:
                raise ClampdownError(f"{key} must be at least 1, got {getattr(self, key)}")
        if self.latents is not None and (self.latents < 1 or self.kind != "clamp"):
            raise ClampdownError("a number of latents, from 1, goes with the kind clamp")
        if self.layer is not None and self.kind == "clamp":
            raise ClampdownError("a clamp is at its SAE's layer; name another SAE in place of a layer")
        if self.start != "zero" and self.kind != "direction":
            raise ClampdownError("a start goes with the kind direction; a clamp begins at the recipe's values, or at 0")
        if not 0 < self.rate < 100:
            raise ClampdownError(f"the rate must be above 0, got {self.rate}")
        self.window(Positions())

    def window(self, given: Positions) -> Positions:
        """The recipe's positions, with the window that is asked for in place of theirs.

        Raises:
            ClampdownError: such a window does not exist, or is empty.
        """
        if self.prompt is not None:
            given = replace(given, prompt=self.prompt)
        if self.generated is not None:
            given = replace(given, generated=self.generated, fade=0)
        return given

    @property
    def counts(self) -> tuple[int, int, int]:
        """Unsafe prompts to train on, to choose and to confirm with, at most."""
        return self.rows, min(self.choosing, self.rows), min(self.confirming, self.rows)

    @property
    def sampling(self) -> Sampling:
        """How the answers are made that choose and confirm."""
        return Sampling(self.tokens)
