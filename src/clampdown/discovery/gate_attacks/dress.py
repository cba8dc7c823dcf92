"""What an attacker does to a request: a choice for each kind of move, and the conversation that comes of it."""

from dataclasses import dataclass

from clampdown.discovery.gate_attacks.framings import ENDINGS, FRAMINGS, TURNS
from clampdown.discovery.gate_attacks.rewordings import SPELLINGS, rewordings
from clampdown.models.dialogue import Message

_HEADED = "Words:"


@dataclass(frozen=True)
class Dress:
    """Moves that keep a request whole; each may be left out.

    Attributes:
        rewording: a name of `rewordings`; a request that has no such wording stays as it is.
        spelling: a name of `SPELLINGS`.
        framing, ending: places in `FRAMINGS` and `ENDINGS`.
        turns: a name of `TURNS`.
        words: words that were searched by gradient, each with a space before it.
        ahead: whether these come before the request, in place of behind it.
    """

    rewording: str = ""
    spelling: str = ""
    framing: int | None = None
    ending: int | None = None
    turns: str = ""
    words: str = ""
    ahead: bool = False

    def chat(self, request: str) -> list[Message]:
        """The conversation that asks for it."""
        text = rewordings(request).get(self.rewording, request) if self.rewording else request
        text = SPELLINGS[self.spelling](text) if self.spelling else text
        if self.words:
            text = f"{_HEADED}{self.words}.\n{text}" if self.ahead else text + self.words
        if self.framing is not None:
            text = FRAMINGS[self.framing].replace("{prompt}", text)
        if self.ending is not None:
            text = f"{text} {ENDINGS[self.ending]}"
        if not self.turns:
            return [{"role": "user", "content": text}]
        words = text.split(" ")
        first, second = " ".join(words[: -(-len(words) // 2)]), " ".join(words[-(-len(words) // 2) :])
        slots = {"{prompt}": text, "{first}": first, "{second}": second}
        return [{"role": role, "content": _filled(said, slots)} for role, said in TURNS[self.turns]]

    @property
    def moves(self) -> list[str]:
        """What was done, in words."""
        found = [f"reworded: {self.rewording}"] if self.rewording else []
        found += [f"spelt: {self.spelling}"] if self.spelling else []
        found += [f"framing {self.framing + 1}"] if self.framing is not None else []
        found += [f"ending {self.ending + 1}"] if self.ending is not None else []
        found += [f"turns: {self.turns}"] if self.turns else []
        return found + ([f"words {'ahead' if self.ahead else 'behind'}"] if self.words else [])


def _filled(said: str, slots: dict[str, str]) -> str:
    """One slot, whose text is not searched for further ones."""
    for slot, text in slots.items():
        before, found, after = said.partition(slot)
        if found:
            return before + text + after
    return said
