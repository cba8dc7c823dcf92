"""A gate as an attacker meets it: conversations in, scores out, every one counted."""

from collections.abc import Sequence
from typing import NamedTuple

from clampdown.discovery.gate_attacks.dress import Dress
from clampdown.discovery.gates.scores import prompt_scores
from clampdown.measuring.attacks.conversation import rendered
from clampdown.models.chat_model import ChatModel
from clampdown.models.dialogue import Message
from clampdown.steering.gates.compiled import CompiledGate


class Passed(NamedTuple):
    """A dress under which the gate stays shut, the score, and the queries made until then."""

    dress: Dress
    score: float
    queries: int


class Lock:
    """The gate before one goal. Scores are the engine's own, for the prompt as it will be rendered.

    Attributes:
        asked: queries made; never more than `budget`.
        room: tokens that an answer must have in the model's context.
    """

    def __init__(
        self, model: ChatModel, gate: CompiledGate, goal: str, budget: int, system: str | None = None, room: int = 1
    ) -> None:
        self.model, self.gate, self.goal, self.system = model, gate, goal, system
        self.budget, self.asked, self.room = budget, 0, room

    @property
    def left(self) -> int:
        return self.budget - self.asked

    def shut(self, score: float) -> bool:
        return score < self.gate.threshold

    def scores(self, dresses: Sequence[Dress]) -> list[tuple[Dress, float, int]]:
        """The score of the goal in each dress, and the number of the query that told it.

        Those that the budget has no room for are not asked; nor are those that outgrow the model's context.
        """
        chats: list[list[Message]] = [dress.chat(self.goal) for dress in dresses]
        prompts = rendered(self.model, chats, self.system, self.room)
        some = [(dress, prompt) for dress, prompt in zip(dresses, prompts, strict=True) if prompt is not None]
        some = some[: self.left]
        if not some:
            return []
        told = prompt_scores(self.model, [self.gate], [prompt for _, prompt in some])[0].tolist()
        first = self.asked + 1
        self.asked += len(some)
        return [(dress, score, first + n) for n, ((dress, _), score) in enumerate(zip(some, told, strict=True))]

    def longer(self, dress: Dress) -> int:
        """By how many tokens the dress makes the prompt longer."""
        plain, dressed = (self.model.prompt_ids(one.chat(self.goal), system=self.system) for one in (Dress(), dress))
        return len(dressed) - len(plain)

    def spend(self) -> None:
        """Count a query that was made otherwise, such as a gradient."""
        self.asked += 1
