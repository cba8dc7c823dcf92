"""One choice as it is said, on the engine's thread: tokens in, pieces of text, chances and the end out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from clampdown.engine.request import Answer, Chance
from clampdown.models.chat_model import ChatModel
from clampdown.models.speech import Speech
from clampdown.serving.stops import Stops
from clampdown.steering.receipt import Receipt


@dataclass(frozen=True)
class Piece:
    """More of a choice's text, and the chances of the tokens that it ends, where they are asked for."""

    choice: int
    text: str
    chances: tuple[Chance, ...] = ()


@dataclass(frozen=True)
class End:
    """The end of a choice.

    Attributes:
        reason: "stop" where the model or a stop text ended it, "length" where it was cut.
        tokens: how many were said.
        error: why there is no answer, where steering or logits were not finite.
    """

    choice: int
    reason: Literal["stop", "length"]
    receipt: Receipt
    tokens: int
    error: str = ""


class Saying:
    """Listens to a request's events, and hands on what clients are told.

    tell: called on the engine's thread.
    """

    def __init__(
        self,
        model: ChatModel,
        prompt: Sequence[int],
        choice: int,
        stops: Sequence[str],
        tell: Callable[[Piece | End | Exception], None],
    ) -> None:
        self.model, self.choice, self._tell = model, choice, tell
        self._speech, self._stops = Speech(model, prompt), Stops(stops)
        self._heard = 0  # characters
        self._chances: list[tuple[int, Chance]] = []  # not handed on yet, and where each token's text begins

    def said(self, token: int, chance: Chance | None) -> bool:
        """Hear one more token; whether the answer is to end here."""
        if chance is not None and self.model.says(token):
            self._chances.append((self._heard, chance))
        piece = self._speech.add(token) or ""
        self._heard += len(piece)
        self._hand_on(self._stops.add(piece))
        return self._stops.found

    def over(self, answer: Answer) -> None:
        """Hear that nothing more comes."""
        if answer.error:
            self._tell(End(self.choice, "stop", answer.receipt, 0, answer.error))
            return
        if not self._stops.found:
            rest = self._stops.add(self._speech.rest())
            self._hand_on(rest + self._stops.rest(), last=not self._stops.found)
        stopped = answer.finished or self._stops.found
        self._tell(End(self.choice, "stop" if stopped else "length", answer.receipt, len(answer.ids)))

    def failed(self, error: Exception) -> None:
        """Hear that there is no answer, for a reason that is not its own."""
        self._tell(error)

    def _hand_on(self, text: str, last: bool = False) -> None:
        ready = [chance for start, chance in self._chances if last or start < self._stops.let]
        self._chances = self._chances[len(ready) :]
        if text or ready:
            self._tell(Piece(self.choice, text, tuple(ready)))
