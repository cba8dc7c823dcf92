"""Where the user's turns lie in chats that vLLM renders: asked of the same template.

vLLM hands on the rendered text alone. So the last chats are remembered by it, until their requests come in.
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
        self._chats: OrderedDict[str, tuple[Chat, str, Callable[[Chat], str]]] = OrderedDict()
        self._surroundings = Surroundings()

    def keep(self, text: str, chat: Chat, how: str, render: Callable[[Chat], str]) -> None:
        """A chat was rendered, and would be so again by `render`; `how` tells everything but the chat that decides."""
        self._chats[text] = (chat, how, render)
        self._chats.move_to_end(text)
        while len(self._chats) > _KEPT:
            self._chats.popitem(last=False)

    def user_turns(self, text: str | None, ids: Sequence[int], tokenizer: Any) -> Spans | None:
        """Where in the ids of a rendered text the user's turns lie; None where that is not certain."""
        chat, how, render = self._chats.get(text or "", ((), "", str))
        every = [_text(message["content"]) for message in chat if message["role"] == "user"]
        said = [content for content in every if content is not None]
        if text is None or not chat or len(said) < len(every):
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
        text = original(config, tokenizer, conversation, **how)
        if isinstance(text, str):
            chat = [dict(message) for message in conversation]
            RENDERED.keep(
                text, chat, repr(sorted(how.items())), lambda other: str(original(config, tokenizer, other, **how))
            )
        return text

    around(hf, "safe_apply_chat_template", applied)
