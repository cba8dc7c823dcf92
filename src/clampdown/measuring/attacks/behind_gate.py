"""A model behind a gate that does not steer it: where it opens, a sentence answers, or the model under a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clampdown.measuring.attacks.conversation import Reply, SteeredTarget, rendered
from clampdown.measuring.endpoint.client import Chat

if TYPE_CHECKING:
    from clampdown.engine.engine import Engine
    from clampdown.engine.request import Sampling
    from clampdown.measuring.judging.outside_gate import OutsideGate
    from clampdown.models.chat_model import ChatModel
    from clampdown.recipe import Recipe
    from clampdown.steering.decision import Decision


@dataclass(frozen=True)
class BehindGate:
    """The unsteered model; its recipe's gate reads each conversation, without the recipe's system prompt.

    sentence: the answer where the gate opens; empty for the model's own under the recipe's system prompt.
    engine: who answers, as for `SteeredTarget`; the gate is read by the model itself.
    """

    model: "ChatModel"
    recipe: "Recipe"
    sampling: "Sampling"
    sentence: str = ""
    weigh: bool = False
    outside: "OutsideGate | None" = field(default=None, compare=False)
    engine: "Engine | None" = field(default=None, compare=False)

    def reply(self, chats: Sequence[Chat], *, seed: int = 0) -> list[Reply | None]:
        """Answers, each with a receipt of what the gate said; None where a conversation outgrew the context."""
        from clampdown.engine.deciding import decided
        from clampdown.measuring.judging.outside_gate import brought

        rows = rendered(self.model, chats, None, self.sampling.max_new_tokens)
        asked = {place: row for place, row in enumerate(rows) if row is not None}
        fitting = list(asked)
        said = brought(self.outside, [self.recipe] * len(fitting), [chats[place] for place in fitting])
        told = decided(self.model, list(asked.values()), self.recipe, said) if asked else []
        found: list[Reply | None] = [None] * len(chats)
        for steers in (False, True):
            some = [
                (place, decision) for place, decision in zip(fitting, told, strict=True) if decision.steers == steers
            ]
            if not some:
                continue
            replies = self._opened if steers else self._shut
            for (place, decision), reply in zip(some, replies([chats[place] for place, _ in some], seed), strict=True):
                found[place] = reply and _noted(reply, decision)
        return found

    def _shut(self, chats: Sequence[Chat], seed: int) -> list[Reply | None]:
        return SteeredTarget(self.model, None, self.sampling, self.weigh, engine=self.engine).reply(chats, seed=seed)

    def _opened(self, chats: Sequence[Chat], seed: int) -> list[Reply | None]:
        if self.sentence:
            return [Reply(self.sentence) for _ in chats]
        asked = replace(self.recipe, gate=None)
        return SteeredTarget(self.model, asked, self.sampling, self.weigh, engine=self.engine).reply(chats, seed=seed)


def _noted(reply: Reply, decision: "Decision") -> Reply:
    from clampdown.steering.receipt import Receipt

    return reply._replace(receipt=decision.noted(Receipt(**(reply.receipt or {}))).to_dict())
