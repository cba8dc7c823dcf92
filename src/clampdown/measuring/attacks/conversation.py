"""Who answers a conversation: a steered model in this process, or any model behind an endpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clampdown.measuring.endpoint.client import Chat, Endpoint, TooLong
from clampdown.measuring.endpoint.reply import FILTERED, REASONED
from clampdown.measuring.endpoint.side_by_side import at_a_time

BLOCKED = "[the service's content filter answered in the model's place]"
"""Stands for an answer that a filter kept back: an empty turn is refused by many a server."""

if TYPE_CHECKING:
    from clampdown.engine.engine import Engine
    from clampdown.engine.request import Answer, Sampling
    from clampdown.measuring.judging.outside_gate import OutsideGate
    from clampdown.models.chat_model import ChatModel
    from clampdown.models.prompt import Prompt
    from clampdown.recipe import Recipe


class Reply(NamedTuple):
    """An answer: its text, whether it stopped by itself, and what steering did (None for an endpoint).

    `surprise` is the unsteered model's at an answer that complies in words, in nats a token, where it was asked for.
    `blocked`: the service's content filter stood in the model's place, before it or after it. That is a refusal, by the
    service: nothing was answered. `thought`: the model reasoned and said nothing.
    """

    text: str
    finished: bool = True
    receipt: Mapping[str, Any] | None = None
    surprise: float | None = None
    blocked: bool = False
    thought: bool = False


class Target(Protocol):
    """Anything that answers a chat: what is attacked, and as well what attacks or judges."""

    def reply(self, chats: Sequence[Chat], *, seed: int = 0) -> list[Reply | None]:
        """The next answer in each conversation; None where the conversation outgrew the model's context."""


@dataclass(frozen=True)
class SteeredTarget:
    """A model in this process under a recipe, which steers every turn; one call is one batch.

    Earlier turns are read again as prompt, as a server without memory of its own would: their keys and values are not
    kept between calls, so that a scope such as `generated` means the same here and there.

    A recipe's gate decides before each answer, on the whole conversation.

    weigh: tell, too, how much the answers that comply in words surprise the model without steering.
    outside: who is asked where the gate decides outside.
    engine: who answers; None for `generate`'s own loop.
    """

    model: "ChatModel"
    recipe: "Recipe | None"
    sampling: "Sampling"
    weigh: bool = False
    outside: "OutsideGate | None" = field(default=None, compare=False)
    engine: "Engine | None" = field(default=None, compare=False)

    def reply(self, chats: Sequence[Chat], *, seed: int = 0) -> list[Reply | None]:
        """Answers in one batch, each with its receipt; `seed` is added to the sampling's own."""
        from clampdown.engine.generation import generate
        from clampdown.measuring.judging.outside_gate import brought

        system = self.recipe.system_prompt if self.recipe else None
        rows = rendered(self.model, chats, system, self.sampling.max_new_tokens)
        fitting = [row for row in rows if row is not None]
        sampling = replace(self.sampling, seed=(self.sampling.seed + seed) % 2**63)
        fit = [chat for chat, row in zip(chats, rows, strict=True) if row is not None]
        recipes = [self.recipe] * len(fitting)
        decisions = brought(self.outside, recipes, fit)
        answers = generate(self.model, fitting, recipes, sampling, decisions=decisions, engine=self.engine)
        asked = [chat[-1]["content"] for chat in fit]
        surprise = self._surprise(asked, fitting, answers) if self.weigh else [None] * len(answers)
        replies = (Reply(a.text, a.finished, a.receipt.to_dict(), s) for a, s in zip(answers, surprise, strict=True))
        return [None if row is None else next(replies) for row in rows]

    def _surprise(
        self, asked: Sequence[str], rows: Sequence[Sequence[int]], answers: "Sequence[Answer]"
    ) -> list[float | None]:
        from clampdown.measuring.judging.default.judge import Label, judge
        from clampdown.measuring.judging.fluency import answer_surprise

        labels = [judge(text, a.text, truncated=not a.finished) for text, a in zip(asked, answers, strict=True)]
        some = [place for place, label in enumerate(labels) if label is Label.COMPLIANCE]
        found = dict(zip(some, answer_surprise(self.model, [rows[i] for i in some], [answers[i].ids for i in some]),
                         strict=True))  # fmt: skip
        return [found.get(place) for place in range(len(answers))]


@dataclass(frozen=True)
class EndpointTarget:
    """A model behind an endpoint; conversation i of a call is sent the seed plus i, so that twins may differ."""

    endpoint: Endpoint
    max_tokens: int = 512
    temperature: float | None = 0.0
    at_once: int = field(default=8, compare=False)

    def reply(self, chats: Sequence[Chat], *, seed: int = 0) -> list[Reply | None]:
        """Answers, a few requests at once."""

        def ask(numbered: tuple[int, Chat]) -> Reply | None:
            number, chat = numbered
            try:
                said = self.endpoint.complete(
                    chat, temperature=self.temperature, max_tokens=self.max_tokens, seed=seed + number
                )
            except TooLong:
                return None
            if said.why == FILTERED and not said.text:
                return Reply(BLOCKED, blocked=True)
            return Reply(said.text, said.finished, thought=said.why == REASONED)

        return at_a_time(ask, list(enumerate(chats)), self.at_once)


def rendered(model: "ChatModel", chats: Sequence[Chat], system: str | None, answer: int) -> "list[Prompt | None]":
    """Prompts that know their user turns, which gates and windows go by; None where `answer` tokens more don't fit."""
    found: list[Prompt | None] = []
    for chat in chats:
        messages = [dict(message) for message in chat]
        fits = len(model.chat_ids(messages, system=system)) + answer <= model.context_length
        found.append(model.prompt_ids(messages, system=system, room=answer) if fits else None)
    return found


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
