"""What is said beside an answer: its receipt, that it was stopped, and where a system prompt went."""

from typing import TYPE_CHECKING

from clampdown.cli.terminal import say
from clampdown.measuring.judging.looping import is_stuck

if TYPE_CHECKING:
    from clampdown.engine.request import Answer
    from clampdown.library import Model

_EVERY = 8
"""Tokens from one look at what was said to the next."""


def note_system(model: "Model") -> None:
    """Say where a system prompt goes that the chat template has no place for."""
    if model.chat.system_as_user:
        said = f"the chat template of {model.name} has no place for a system prompt, so it opens the user's turn"
        say(said, style="dim", aside=True)


class Repetition:
    """Looks now and then, while a prompt is answered, whether the answer repeats itself; then it is to be stopped.

    Attributes:
        found: whether it was.
    """

    def __init__(self, prompt: str, *, allowed: bool) -> None:
        self.prompt, self.allowed, self.found = prompt, allowed, False
        self._tokens = 0

    def __call__(self, said: str) -> bool:
        self._tokens += 1
        if not self.allowed and self._tokens % _EVERY == 0:
            self.found = is_stuck(said, self.prompt)
        return self.found


def receipt(answer: "Answer", tokens: int, repetition: Repetition) -> str:
    """What steering did, and that the answer was cut or stopped, if it was."""
    if repetition.found:
        return f"{answer.receipt} · stopped, for it repeats itself; --repeat lets it go on"
    return str(answer.receipt) + ("" if answer.finished else f" · cut at {tokens} tokens")
