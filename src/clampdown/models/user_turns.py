"""Where the contents of the user's turns lie in a rendered chat.

A template is a program, so it is asked: rendered once more with a marker in place of each content, it shows what lies
between them. Where the real rendering is just that with the contents (or these without the spaces at their ends) in
the markers' place, in one way only, their places are known. A template that says a content twice, or changes it or what
is around it, leaves them unknown.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clampdown.models.prompt import Spans

_MARK = "\U000f0010{}\U000f0011"
_MARKED = re.compile("\U000f0010([0-9]+)\U000f0011")
_MOST = 64  # chats whose surroundings are remembered: a study asks thousands of prompts in one or two

Hollow = list[str]
"""What lies before, between and after the markers, and between these strings the number of each marker's content."""


def hollowed(chat: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The chat with a marker in place of each content of the user's, numbered in order."""
    numbers = iter(range(len(chat)))
    return [
        {**message, "content": _MARK.format(next(numbers))} if message["role"] == "user" else dict(message)
        for message in chat
    ]


class Surroundings:
    """What a template puts around contents, asked of `render` once for each kind of chat."""

    def __init__(self) -> None:
        self._known: dict[Any, Hollow] = {}

    def places(self, text: str, contents: Sequence[str], key: Any, render: Callable[[], str]) -> Spans | None:
        """The characters [start, end) of each content in the rendered `text`; None where that is not certain.

        Args:
            contents: of the user's turns, in order, as they were handed to the template.
            key: everything else that decides the rendering but the time.
            render: renders the chat with markers in the contents' place, as `hollowed` has them.
        """
        known = self._known.get(key)
        found = None if known is None else aligned(text, known, contents)
        if found is None:  # asked for the first time, or of a template that looks at the clock
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = hollow = _MARKED.split(render())
            found = aligned(text, hollow, contents)
        return found


def aligned(text: str, hollow: Hollow, contents: Sequence[str]) -> Spans | None:
    """Where the contents lie in a text that holds them between the parts of `hollow`; None if in no or several ways."""
    numbers = [int(number) for number in hollow[1::2]]
    if numbers != sorted(set(numbers)) or any(number >= len(contents) for number in numbers):
        return None
    ways = _ways(text, 0, hollow[::2], [contents[number] for number in numbers])
    first = next(ways, None)
    return first if next(ways, None) is None else None


def _ways(text: str, at: int, around: Sequence[str], contents: Sequence[str]) -> Iterator[Spans]:
    """Every way in which the text from `at` on is what is around the contents, with each of them in between."""
    if not text.startswith(around[0], at):
        return
    at += len(around[0])
    if not contents:
        if at == len(text):
            yield ()
        return
    first = contents[0]
    for said in dict.fromkeys((first, first.strip(), first.lstrip(), first.rstrip())):
        if text.startswith(said, at):
            end = at + len(said)
            yield from (((at, end), *rest) for rest in _ways(text, end, around[1:], contents[1:]))
