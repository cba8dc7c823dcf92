"""How likely tokens were, as chats and as plain completions tell it."""

import re
from collections.abc import Sequence
from functools import cache

from clampdown.engine.request import Chance
from clampdown.models.chat_model import ChatModel
from clampdown.serving.answers import ChatLogprobs, CompletionLogprobs, TokenLogprob, TopLogprob

_LEAST = -9999.0
"""What is said of a token that can't be: JSON has no word for minus infinity. OpenAI says the same."""


def chat_logprobs(model: ChatModel, chances: Sequence[Chance]) -> ChatLogprobs:
    """Of some tokens, in a chat."""
    told = []
    for chance in chances:
        own = _top(model, chance.token, chance.log_probability)
        best = [_top(model, token, value) for token, value in chance.likeliest]
        told.append(TokenLogprob(**own.model_dump(), top_logprobs=best))
    return ChatLogprobs(content=told)


def completion_logprobs(model: ChatModel, chances: Sequence[Chance | int], offset: int) -> CompletionLogprobs:
    """Of some tokens of a plain text, the first of which begins at `offset`; an id alone is a text's first token.

    The token itself is among the likeliest, as OpenAI has it. Tokens that read alike are told as the likelier one.
    """
    told = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
    for chance in chances:
        token = chance if isinstance(chance, int) else chance.token
        told.text_offset.append(offset)
        offset += len(text := token_text(model, token))
        told.tokens.append(text)
        if isinstance(chance, int):
            told.token_logprobs.append(None)
            told.top_logprobs.append(None)
            continue
        best: dict[str, float] = {}
        for other, value in (*chance.likeliest, (token, chance.log_probability)):
            name = token_text(model, other)
            best[name] = max(best.get(name, _LEAST), value)
        told.token_logprobs.append(max(chance.log_probability, _LEAST))
        told.top_logprobs.append(best)
    return told


def token_text(model: ChatModel, token: int) -> str:
    """How a token reads by itself; one that is part of a character, as its vocabulary writes it."""
    text = str(model.tokenizer.decode([token]))
    return text if "\ufffd" not in text else f"bytes:{model.tokenizer.convert_ids_to_tokens(token)}"


def _top(model: ChatModel, token: int, value: float) -> TopLogprob:
    text = token_text(model, token)
    return TopLogprob(token=text, logprob=max(value, _LEAST), bytes=_bytes(model, token, text))


def _bytes(model: ChatModel, token: int, text: str) -> list[int] | None:
    """A token's bytes, which of a part of a character only its vocabulary tells; None where that has another way."""
    if not text.startswith("bytes:"):
        return list(text.encode("utf-8", "replace"))
    written = str(model.tokenizer.convert_ids_to_tokens(token))
    if found := re.fullmatch("<0x([0-9A-Fa-f]{2})>", written):
        return [int(found[1], 16)]
    known = [_byte_of().get(letter) for letter in written]
    return [byte for byte in known if byte is not None] if None not in known else None


@cache
def _byte_of() -> dict[str, int]:
    """What byte-level vocabularies write for each byte (GPT-2): itself where that can be seen, else one from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in set(seen)]
    return {chr(byte): byte for byte in seen} | {chr(256 + place): byte for place, byte in enumerate(rest)}
