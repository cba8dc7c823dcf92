"""How to look for latents: what a caller may choose, and how much evidence each method uses."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clampdown.discovery.answers import PAPER_PROMPT, REFUSAL
from clampdown.discovery.windows import WINDOWS, window
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.engine.request import Sampling
    from clampdown.measuring.sets.sets import ItemSet

METHODS = ("single-prompt", "contrast", "attribution")


def _said(default: Any, said: str, **how: Any) -> Any:
    """A field that the command line has an option for, and what its help says."""
    return field(default=default, metadata={"help": said, **how})


@dataclass(frozen=True)
class FindOptions:
    """How to look. Sets default to the selecting halves of the built-in ones.

    With `value`, every candidate is tested at that clamp value, and the best by gap are clamped to it in the recipe, as
    the paper does; without, candidates are tested at their maximum, and the recipe's values are found.
    """

    method: str = _said("single-prompt", "", choices=METHODS)
    prompt: str = _said(PAPER_PROMPT, "what single-prompt asks (default: the paper's prompt)", metavar="TEXT")
    refusal: str = _said(REFUSAL, "the refusal that is taught where the model complies", metavar="TEXT", quiet=True)
    candidates: int = _said(64, "latents tested", metavar="N")
    latents: int = _said(8, "latents in the set tried first", metavar="N")
    value: float | None = _said(None, "clamp every candidate to V, as the paper does (default: found)", metavar="V")
    tokens: int = _said(64, "of each answer that confirms; fewer hide loops", metavar="N")
    window: str | None = _said(
        None,
        "the only window of positions to try: all (the paper's), all+8 (the prompt and the first 8 tokens of the "
        "answer), last+14, last+8~6 (fading over 6 more) (default: the best of several)",
        metavar="W",
    )
    seed: int = 0
    target: float = 0.9
    unsafe: "ItemSet | None" = None
    safe: "ItemSet | None" = None
    text: "ItemSet | None" = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ClampdownError(f"unknown method {self.method!r}; methods are {', '.join(METHODS)}")
        if self.candidates < 1 or self.latents < 1:
            raise ClampdownError("candidates and latents must be at least 1")
        if self.value is not None and not abs(self.value) < 3.4e38:
            raise ClampdownError(f"the clamp value must be a finite number, got {self.value}")
        if not self.prompt.strip() or not self.refusal.strip():
            raise ClampdownError("the prompt and the refusal must not be empty")
        if self.tokens < 1:
            raise ClampdownError(f"answers need at least one token, got {self.tokens}")
        for name in self.windows:
            window(name)

    @property
    def effort(self) -> "Effort":
        if self.method == "single-prompt":
            return Effort(4, 2, 1, 6, (1.0,))
        return Effort(32, 6, 2, 24, (1.0, 0.5, 2.0), screened=(12, 4))

    @property
    def sampling(self) -> "Sampling":
        """How the answers are made that a choice is confirmed with."""
        from clampdown.engine.request import Sampling

        return Sampling(self.tokens)

    @property
    def windows(self) -> tuple[str, ...]:
        return WINDOWS if self.window is None else (self.window,)


@dataclass(frozen=True)
class Effort:
    """How much evidence a search uses.

    Prompts of a kind, those that candidates are scored on, passages of text, answers of a kind to confirm with.
    """

    prompts: int
    scored: int
    passages: int
    answers: int
    sizes: tuple[float, ...]  # of sets tried, in shares of `latents`
    screened: tuple[int, int] | None = None  # answers to unsafe and to safe prompts that pick the finalists; None: all
    finalists: int = 4
