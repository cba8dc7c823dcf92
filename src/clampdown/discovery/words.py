"""The words that a latent makes likelier and less likely: whole ones, which a reader knows."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from clampdown.discovery.logit_lens import logit_lens
from clampdown.measuring.sets.kinds import KINDS
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.saes.sae import SAE

_AMONG = 30
_BEGINS = ("Ġ", "▁")  # how byte-level and SentencePiece vocabularies write the space before a word
_SHORTEST = 3


class Words(NamedTuple):
    """What a latent's decoder row raises and lowers most, the strongest first; pieces of words are left out."""

    raises: list[str]
    lowers: list[str]


def words(model: ChatModel, sae: SAE, latents: Sequence[int], count: int = 6) -> list[Words]:
    """By the logit lens, of each latent: at most `count` whole words among the 30 tokens at either end.

    A word begins with a space and is of letters alone. A token that longer ones go on from (as " strugg") is a piece,
    unless the built-in sets have it as a word.
    """
    moved = logit_lens(model, sae, latents)
    lens = (moved - moved.mean(-1, keepdim=True)).float()
    ends = [side.topk(min(_AMONG, side.shape[-1]), dim=-1).indices.tolist() for side in (lens, -lens)]
    vocabulary = sorted(map(str, model.tokenizer.get_vocab()))
    raised, lowered = (
        [_named(model, [t for t in row if _is_word(model, t, vocabulary)], count) for row in end] for end in ends
    )
    return [Words(*both) for both in zip(raised, lowered, strict=True)]


def _is_word(model: ChatModel, token: int, vocabulary: Sequence[str]) -> bool:
    """Whether a token is a word by itself, rather than a piece that other tokens go on from."""
    if token >= len(model.tokenizer):  # a head may be padded past the vocabulary
        return False
    written, text = str(model.tokenizer.convert_ids_to_tokens(token)), model.tokenizer.decode([token]).strip()
    if not text.isalpha():
        return False
    if not text.isascii():
        return len(text) > 1 or text > "\u2e80"  # Chinese writes no spaces, and words of one sign
    if not written.startswith(_BEGINS) or len(text) < _SHORTEST:
        return False
    after = bisect_right(vocabulary, written)
    goes_on = after < len(vocabulary) and vocabulary[after].startswith(written)
    return not goes_on or text.casefold() in _seen()


@lru_cache(maxsize=1)
def _seen() -> frozenset[str]:
    """The words of the built-in sets."""
    items = (item for kind in KINDS for item in builtin_set(kind).items)
    return frozenset(word for item in items for word in re.findall(r"[a-z]+", item.text.casefold()))


def _named(model: ChatModel, tokens: Sequence[int], count: int) -> list[str]:
    """Their texts, each once, whatever the case."""
    found: dict[str, str] = {}
    for token in tokens:
        text = model.tokenizer.decode([token]).strip()
        found.setdefault(text.casefold(), text)
    return list(found.values())[:count]
