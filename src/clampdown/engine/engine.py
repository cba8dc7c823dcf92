"""What everything that wants an answer asks of an engine, whichever it is, and a likelihood of its scorer."""

from collections.abc import Sequence
from typing import Protocol

from clampdown.engine.request import Answer, Continuation, Event, Question, Request, Swept
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe


class Engine(Protocol):
    """Takes requests at any time and answers them together; each row under its own recipe and sampling.

    A request's answer does not depend on the others, but for rounding where a batch has another shape.
    """

    model: ChatModel

    def submit(self, request: Request) -> int:
        """Queue a request; its number.

        Raises:
            ClampdownError: it does not fit the context, its recipe or gate does not fit the model, or its recipe's gate
                lies outside and it brings no decision.
        """
        ...

    def step(self) -> list[Event]:
        """Go on by one token of every row, reading prompts that wait where there is room; what came of it."""
        ...

    def cancel(self, request: int) -> None:
        """Drop a request, if it is not over; no event of it follows."""
        ...

    def end(self, request: int) -> Answer | None:
        """Let a running request's answer end with what it has said; no event of it follows. None if it does not run."""
        ...

    def holds(self, request: int) -> bool:
        """Whether a request waits or runs."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        ...

    @property
    def version(self) -> str:
        """The library that runs the model, and its version: answers of two may differ by rounding."""
        ...


class Scorer(Protocol):
    """Tells how likely given tokens are under a recipe: log-likelihoods in nats, of token ids.

    What is scored counts as generated, what it follows as prompt; so do windows read it.

    Raises, each of them:
        ClampdownError: more tokens than the context holds, a recipe that does not fit the model, or logits that are not
            finite.
    """

    def choices(self, questions: Sequence[Question], recipe: Recipe | None) -> list[list[float]]:
        """For each question the log-likelihood of every choice as its answer."""
        ...

    def passages(self, rows: Sequence[Sequence[int]], recipe: Recipe | None) -> list[float]:
        """For each row the log-likelihood of all but its first token, which counts as its prompt."""
        ...

    def continuations(self, asked: Sequence[Continuation], recipes: Sequence[Recipe | None]) -> Swept:
        """For each recipe the score of every continuation, and a receipt for each."""
        ...
