"""Where the user's turns lie in chats that vLLM renders: asked of the same template.

vLLM hands on the rendered text or its ids alone. So the last chats are remembered by these, until requests come in.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clampdown.models import control_tokens
from clampdown.models.prompt import Spans
from clampdown.models.user_turns import Surroundings, hollowed
from clampdown.plugins.vllm.patching import around

_KEPT = 1024
"""Chats that are remembered."""

Chat = Sequence[Mapping[str, Any]]


class Rendered:
    """The chats that were rendered last."""

    def __init__(self) -> None:
        self._chats: OrderedDict[Any, tuple[str, Chat, str, Callable[[Chat], str]]] = OrderedDict()
        self._surroundings = Surroundings()

    def keep(self, made: str | Sequence[int], chat: Chat, how: str, render: Callable[[Chat], str]) -> None:
        """A chat was made a text, or ids at once, and would be so again by `render`.

        how: tells everything but the chat that decides.
        """
        key = made if isinstance(made, str) else tuple(made)
        self._chats[key] = (made if isinstance(made, str) else render(chat), chat, how, render)
        self._chats.move_to_end(key)
        while len(self._chats) > _KEPT:
            self._chats.popitem(last=False)

    def user_turns(self, text: str | None, ids: Sequence[int], tokenizer: Any) -> Spans | None:
        """Where in the ids of a rendered text the user's turns lie; None where that is not certain."""
        known = self._chats.get(text) or self._chats.get(tuple(ids))
        if known is None:
            return None
        text, chat, how, render = known
        told = [_text(message["content"]) for message in chat if message["role"] == "user"]
        said = [content for content in told if content is not None]
        if len(said) < len(told):
            return None
        hollow = [_as(message, other) for message, other in zip(hollowed(chat), chat, strict=True)]
        places = self._surroundings.places(text, said, (how, repr(hollow)), lambda: render(hollow))
        return places and control_tokens.token_spans(tokenizer, text, list(ids), places)


def _text(content: Any) -> str | None:
    """What a user said in one text; None where it is in several parts, or in pictures."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], Mapping):
        text = content[0].get("text")
        return text if isinstance(text, str) else None
    return content if isinstance(content, str) else None


def _as(message: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A message with its content in parts, where the other's is."""
    apart = isinstance(other["content"], list) and isinstance(message["content"], str)
    return {**message, "content": [{"type": "text", "text": message["content"]}]} if apart else message


RENDERED = Rendered()
"""Of this process, as vLLM's front is one."""


def patch() -> None:
    """Let what vLLM renders be remembered."""
    from vllm.renderers import hf

    def applied(original: Any, config: Any, tokenizer: Any, conversation: Any, **how: Any) -> Any:
        made, as_text = original(config, tokenizer, conversation, **how), {**how, "tokenize": False}
        if isinstance(made, str | list):
            chat = [dict(message) for message in conversation]
            RENDERED.keep(
                made, chat, repr(sorted(how.items())), lambda other: str(original(config, tokenizer, other, **as_text))
            )
        return made

    around(hf, "safe_apply_chat_template", applied)
