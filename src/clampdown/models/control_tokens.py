"""Control tokens, such as <|im_end|>, that somebody wrote: ordinary text, so that nothing said can end its own turn.

What users, attacks and answers under test say is `marked` before a template goes around it; `encoded` then reads what
is marked as text, and the template's own control tokens as tokens. Transformers does both where it is new enough
(`sanitize_control_tokens`); with an older one, or a vocabulary in which plain text gives the token too, what is written
still counts as a token.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from clampdown.errors import ClampdownError

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


_PIECE = re.compile(f"({_START}[^{_START}{_END}]*{_END}|[{_START}{_END}])")


def split(text: str) -> tuple[str, str]:
    """A text before its first mark, and the rest."""
    at = text.find(_START)
    return (text, "") if at < 0 else (text[:at], text[at:])


def unmarked(text: str) -> str:
    """A text as it is read, without marks."""
    return text.replace(_START, "").replace(_END, "")


def encoded(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text in which control tokens may be marked; nothing is added.

    Raises:
        ClampdownError: it holds half of a surrogate pair, as bytes that are no UTF-8 become; no tokenizer takes that.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])[1:-1]
        raise ClampdownError(f"a text holds {half}, half of a character; write it in UTF-8") from error
    if _START in text and _theirs() is not None:
        try:
            return list(_theirs().encode_marked_chat(tokenizer, text))
        except ValueError:  # a vocabulary in which plain text gives the token too
            pass
    return list(tokenizer(unmarked(text), add_special_tokens=False).input_ids)


def token_spans(
    tokenizer: Any, text: str, ids: Sequence[int], places: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], ...] | None:
    """Which tokens [start, end) of such a text hold its characters at `places`; one that reaches over a border does.

    ids: what `encoded` made of the text. None where the tokenizer does not tell what its tokens cover.
    """
    if not getattr(tokenizer, "is_fast", False):
        return None
    offsets = next((found for read, found in _readings(tokenizer, text) if read == list(ids)), None)
    if offsets is None:
        return None
    marks = [mark.start() for mark in re.finditer(f"[{_START}{_END}]", text)]
    inside = [[border - sum(mark < border for mark in marks) for border in place] for place in places]
    return tuple(_tokens_at(offsets, start, end) for start, end in inside)


Offsets = list[tuple[int, int]]
"""The characters [start, end) of each token."""


def _with_offsets(tokenizer: Any, text: str) -> tuple[list[int], Offsets]:
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return list(found["input_ids"]), list(found["offset_mapping"])


def _readings(tokenizer: Any, text: str) -> Iterator[tuple[list[int], Offsets]]:
    """The ways in which a text may have been encoded: as if nothing were marked, or piece by piece."""
    if (whole := unmarked(text)) != text:
        yield _in_pieces(tokenizer, text)
    yield _with_offsets(tokenizer, whole)


def _in_pieces(tokenizer: Any, text: str) -> tuple[list[int], Offsets]:
    """The ids of a marked text and their characters in the unmarked one; what is marked counts as one character."""
    newline, at = list(tokenizer("\n", add_special_tokens=False).input_ids), 0
    ids: list[int] = []
    offsets: Offsets = []
    for number, piece in enumerate(_PIECE.split(text)):
        said = unmarked(piece)
        if number % 2:
            told = encoded(tokenizer, piece) if said else []
            spans = [(at, at + len(said))] * len(told)
        else:
            told, spans = _with_offsets(tokenizer, said)
            after, shifted = _with_offsets(tokenizer, "\n" + said) if number else ([], [])
            if number and said and after[: len(newline)] == newline:  # as Transformers does
                told = after[len(newline) :]
                spans = [(max(0, start - 1), max(0, end - 1)) for start, end in shifted[len(newline) :]]
            spans = [(at + start, at + end) for start, end in spans]
        ids, offsets, at = ids + told, offsets + spans, at + len(said)
    return ids, offsets


def _tokens_at(offsets: Offsets, start: int, end: int) -> tuple[int, int]:
    """The tokens that hold characters start to end. Some tokenizers leave a space out of what a token covers."""
    before = sum(1 for _, last in offsets if last <= start)
    inside = [n for n, (a, b) in enumerate(offsets) if b > start and (a < end or a == b == end)] if start < end else []
    return (inside[0], inside[-1] + 1) if inside else (before, before)
