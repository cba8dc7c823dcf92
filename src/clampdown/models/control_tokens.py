"""Control tokens, such as <|im_end|>, that somebody wrote: ordinary text, so that nothing said can end its own turn.

What users, attacks and answers under test say is `marked` before a template goes around it; `encoded` then reads what
is marked as text, and the template's own control tokens as tokens. Transformers does both where it is new enough
(`sanitize_control_tokens`); with an older one, or a vocabulary in which plain text gives the token too, what is written
still counts as a token.
"""

import re
from collections.abc import Collection
from functools import cache
from typing import Any

_START, _END = "\U000f0000", "\U000f0001"
"""Transformers' marks, of no other meaning; it drops those that a text holds already."""


@cache
def _theirs() -> Any:
    """Transformers' own way to mark; None where it has none yet."""
    try:
        from transformers.utils import chat_template_utils as found
    except ImportError:
        return None
    return found if hasattr(found, "encode_marked_chat") else None


def marked(tokenizer: Any, text: Any, leave: Collection[str] = ()) -> Any:
    """The same text, or parts of a message, with every control token marked as text.

    Control tokens are the tokenizer's special tokens, and those of its added ones that its chat template writes.

    Args:
        leave: tokens that mean what they do wherever they are written.
    """
    if _theirs() is None or not hasattr(tokenizer, "_get_control_tokens"):
        return text
    try:
        known = tokenizer._get_control_tokens(tokenizer.get_chat_template() if tokenizer.chat_template else "")
    except Exception:  # a template that is none: rendering tells
        known = tokenizer._get_control_tokens("")
    tokens = [token for token in known if token and token not in leave]
    pattern = re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")
    return _theirs().mark_control_tokens(text, pattern)


def split(text: str) -> tuple[str, str]:
    """A text before its first mark, and the rest."""
    at = text.find(_START)
    return (text, "") if at < 0 else (text[:at], text[at:])


def unmarked(text: str) -> str:
    """A text as it is read, without marks."""
    return text.replace(_START, "").replace(_END, "")


def encoded(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text in which control tokens may be marked; nothing is added."""
    if _START in text and _theirs() is not None:
        try:
            return list(_theirs().encode_marked_chat(tokenizer, text))
        except ValueError:  # a vocabulary in which plain text gives the token too
            pass
    return list(tokenizer(unmarked(text), add_special_tokens=False).input_ids)
