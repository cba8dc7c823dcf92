"""Which positions of a prompt a gate reads: a prompt that was rendered knows where its user's words lie."""

from collections.abc import Sequence

from clampdown.models.prompt import user_turns


def read_positions(prompt: Sequence[int], pool: str, over: str) -> list[int]:
    """The places in the prompt (token ids) that a part with such `pool` and `over` reads, from 0; never none.

    The first is an attention sink in most models, and left out where there is another.
    """
    if pool == "last":
        return [len(prompt) - 1]
    if pool == "request-last":
        return [_spans(prompt, "request")[-1][1] - 1]
    places = [place for start, end in _spans(prompt, over) for place in range(start, end)]
    return [place for place in places if place] or places


def read_text(prompt: Sequence[int], over: str) -> list[list[int]]:
    """The same places' token ids, a list for each turn."""
    return [list(prompt[start:end]) for start, end in _spans(prompt, over)]


def _spans(prompt: Sequence[int], over: str) -> list[tuple[int, int]]:
    """Start and end of each stretch; the whole prompt where nobody knows its turns, or where nothing was said."""
    spans = [(start, end) for start, end in user_turns(prompt) or () if start < end]
    if over == "prompt" or not spans:
        return [(0, len(prompt))]
    return spans[-1:] if over == "request" else spans
