"""What everything that wants an answer asks of an engine, whichever it is."""

from typing import Protocol

from clampdown.engine.request import Event, Request


class Engine(Protocol):
    """Takes requests at any time and answers them together; each row under its own recipe and sampling.

    A request's answer does not depend on the others, but for rounding where a batch has another shape.
    """

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

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        ...
