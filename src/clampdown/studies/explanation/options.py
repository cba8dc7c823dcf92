"""How much is measured to explain a recipe."""

from dataclasses import dataclass

from clampdown.errors import ClampdownError


@dataclass(frozen=True)
class ExplainOptions:
    """Sizes of what is measured.

    Attributes:
        questions, passages: items of the built-in sets' reporting halves that losses are measured on.
        passage_tokens: of each passage, from its beginning.
        draws: random directions, and other latents, of the recipe's mean ‖Δ‖.
        latents: that a survey draws, besides the recipe's own.
        seed: of every draw.
    """

    questions: int = 100
    passages: int = 16
    passage_tokens: int = 96
    draws: int = 5
    latents: int = 72
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"questions": 2, "passages": 1, "passage_tokens": 2, "draws": 1, "latents": 8, "seed": 0}
        for name, lowest in least.items():
            given = getattr(self, name)
            if type(given) is not int or given < lowest:
                raise ClampdownError(f"{name} must be a whole number from {lowest}, got {given!r}")
