"""Texts that end an answer, found as it is said: nothing is let through that may still turn out to begin one."""

from collections.abc import Sequence


class Stops:
    """Hands on a text that comes in pieces, up to that of some texts which is complete first, however it is cut.

    Attributes:
        found: whether one was; nothing is handed on from then on.
        let: characters handed on so far.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [text for text in texts if text]
        self._held = ""
        self.found, self.let = False, 0

    def add(self, piece: str) -> str:
        """What can be handed on now that so much more was said."""
        if self.found:
            return ""
        text = self._held + piece
        ends = [(place + len(stop), place) for stop in self._texts if (place := text.find(stop)) >= 0]
        if ends:
            self.found, self._held = True, ""
            return self._hand_on(text[: min(ends)[1]])
        keep = max((_begun(text, stop) for stop in self._texts), default=0)
        self._held = text[len(text) - keep :]
        return self._hand_on(text[: len(text) - keep])

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, ""
        return "" if self.found else self._hand_on(held)

    def _hand_on(self, text: str) -> str:
        self.let += len(text)
        return text


def _begun(text: str, stop: str) -> int:
    """How many of the text's last characters are the first ones of a stop, not all of it."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
