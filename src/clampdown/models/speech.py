"""The text of an answer as its tokens come: pieces that are whole, without decoding again what was said before."""

from collections.abc import Sequence

from clampdown.models.dialogue import Dialogue

_HALF = "\ufffd"
"""What half of a character decodes to; some take several tokens."""
_LAST = 8
"""Tokens that always hold the last character whole, if it is."""


class Speech:
    """Says an answer to `prompt` piece by piece; joined, the pieces are what `Dialogue.said` makes of all tokens.

    Only the last piece's tokens are decoded again with what follows, for how a token reads can depend on whether it is
    the first one.
    """

    def __init__(self, model: Dialogue, prompt: Sequence[int] = ()) -> None:
        self.model, self.prompt = model, prompt
        self.ids: list[int] = []
        self._opening, self._raw = model.opening(prompt), ""
        self._said = 0  # characters
        self._recent: list[int] = []  # the last piece's tokens, and those that came after
        self._old = ""  # the last piece's tokens alone, as text
        self._waiting = 0  # tokens that came after
        self._held = False  # whether they end in half a character

    def add(self, token: int) -> str | None:
        """The text that is whole now and was not before; None while the last character is half."""
        self.ids.append(token)
        if not self.model.says(token):
            return None if self._held else ""
        self._recent.append(token)
        self._waiting += 1
        if self._held and self._waiting > _LAST and self.model.decoded(self._recent[-_LAST:]).endswith(_HALF):
            return None
        recent = self.model.decoded(self._recent)
        self._held = recent.endswith(_HALF)
        if self._held:
            return None
        if new := recent[len(self._old) :]:
            self._recent = self._recent[-self._waiting :]
            self._old = self.model.decoded(self._recent)
            self._waiting = 0
        self._raw += new
        return self._piece(self._opening + self.model.with_thoughts_marked(self._raw))

    def rest(self) -> str:
        """What is left to say at the end: half a character, where the answer was cut there."""
        return self._piece(self.model.said(self.ids, self.prompt))

    def _piece(self, text: str) -> str:
        piece = text[self._said :]
        self._said = max(self._said, len(text))
        return piece
