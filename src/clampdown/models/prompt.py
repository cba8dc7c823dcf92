"""A rendered prompt: its token ids, and where the contents of the user's turns lie among them."""

from collections.abc import Iterable, Sequence
from typing import Any, Self, SupportsIndex, overload

from clampdown.errors import ClampdownError

Spans = tuple[tuple[int, int], ...]
"""Pairs [start, end), in order."""


class Prompt(tuple[int, ...]):
    """Token ids that know their user turns; equal to any list or tuple of the same ids.

    Attributes:
        user: the tokens [start, end) of each user turn's content, in order; one that is empty holds none. None where
            only ids are known, as of plain text, or where rendering did not tell for certain.

    Raises:
        ClampdownError: spans that overlap, are out of order, or reach beyond the ids.
    """

    _user: Spans | None

    def __new__(cls, ids: Iterable[int], user: Iterable[tuple[int, int]] | None = None) -> Self:
        made = super().__new__(cls, ids)
        spans = None if user is None else tuple((int(start), int(end)) for start, end in user)
        borders = [0, *(border for span in spans or () for border in span), len(made)]
        if borders != sorted(borders):
            raise ClampdownError(f"a prompt of {len(made)} tokens can't have user turns at {spans}")
        made.__dict__["_user"] = spans
        return made

    @property
    def user(self) -> Spans | None:
        return self._user

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self), self._user

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a prompt can't be changed")

    def __eq__(self, other: object) -> bool:
        return super().__eq__(tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> "Prompt": ...
    def __getitem__(self, key: SupportsIndex | slice) -> "int | Prompt":
        """An id; or some of them, with what they hold of the user's turns."""
        if not isinstance(key, slice):
            return super().__getitem__(key)
        start, stop, step = key.indices(len(self))
        ids = super().__getitem__(key)
        if self._user is None or step != 1:
            return Prompt(ids)
        stop = max(start, stop)
        kept = ((max(a, start), min(b, stop), a == b) for a, b in self._user)
        return Prompt(ids, [(a - start, b - start) for a, b, empty in kept if a < b or (empty and a == b)])

    def __add__(self, other: Iterable[int]) -> "Prompt":  # type: ignore[override]
        """The prompt with ids after it, such as an answer's, which no user said."""
        return Prompt((*self, *other), self._user)


def user_turns(ids: Sequence[int]) -> Spans | None:
    """Where the user's turns lie among token ids; None where these don't tell."""
    return ids.user if isinstance(ids, Prompt) else None
