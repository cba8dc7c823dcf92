"""What is read back from a study's files, checked: whatever was altered or cut short there is one line."""

import json
import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from clampdown.errors import ClampdownError
from clampdown.reading import unreadable

Thing = TypeVar("Thing")
FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading altered data can raise."""
_DEEPEST = 64
"""Brackets in brackets; a study's own files have some eight, and whoever writes them on may bear no more."""


def is_database(path: Path) -> bool:
    """Whether a file begins as SQLite's do; an empty one does not. Raises ClampdownError if it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise unreadable(path, "study", error) from error


@contextmanager
def told_as_damage(path: Path, what: str) -> Iterator[None]:
    """Whatever is wrong with `what` was read from `path` inside, as one line with a remedy."""
    try:
        yield
    except (ClampdownError, *FAULTS) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
        raise ClampdownError(
            f"{path} is damaged: {what} can't be read ({why or type(error).__name__}); restore it from a copy, or run "
            "its study again in another folder"
        ) from error


def parsed(text: Any) -> Any:
    """JSON as plain data: no NaN, and no lone surrogates, which no file can hold. Raises one of `FAULTS`."""
    return _clean(json.loads(text, parse_constant=_refuse))


def checked(thing: Thing) -> Thing:
    """A dataclass whose fields hold what they say. Raises ValueError."""
    hints = _hints(type(thing))  # type: ignore[arg-type]
    for field in fields(thing):  # type: ignore[arg-type]
        require(getattr(thing, field.name), hints[field.name], field.name)
    return thing


def require(value: Any, hint: Any, name: str) -> None:
    """Raise ValueError unless a value is of a type, inside as well: finite numbers, whole ones of 64 bits."""
    if not _fits(value, hint):
        raise ValueError(f"{name} is {reprlib.repr(value)}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    inner = get_args(hint)
    kind = get_origin(hint) or hint
    if kind is Any:
        return True
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind in (list, tuple, Sequence):
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
    if kind in (dict, Mapping):
        pairs = value.items() if isinstance(value, Mapping) else ()
        return isinstance(value, Mapping) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in pairs)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value is None if kind is NoneType else isinstance(value, kind)


def _clean(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise RecursionError("nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(one, depth + 1) for key, one in value.items()}
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")
