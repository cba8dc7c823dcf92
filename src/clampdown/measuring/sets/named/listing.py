"""What `clampdown sets` tells of each named set, and whether it is at hand; the list itself is in `__init__.py`."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.named import BUILT_IN, NAMED
from clampdown.measuring.sets.named.copies import at_hand, given
from clampdown.measuring.sets.named.finding import load_named, split_name
from clampdown.measuring.sets.named.page import NamedSet
from clampdown.measuring.sets.sets import BUILTIN, builtin_set

_BUILTIN = {
    "unsafe": "short harmful requests, written for Clampdown",
    "safe": "ordinary requests",
    "lookalike": "harmless requests in words that sound dangerous",
    "capability": "general-knowledge questions with choices",
    "text": "plain passages, for bits per byte",
}

_COLUMNS = {"capability": {"text": "question", "choices": "choices", "answer": "answer"}, "text": {"text": "text"}}


def listing(names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """The built-in sets and the named ones, or those of `names` alone, each perhaps NAME=PATH; nothing is fetched.

    {"name", "kinds", "about", "split", "columns", "keep", "items", "published", "at_hand", "source", "gated",
    "revision", "verified", "licence", "paper", "problem"} each: `columns` says where in a row each part of an item is
    (see page.Columns), and `keep` which values of a column count; `items` are counted where the set is at hand
    ("built-in", "local" or "cached"), else None; `problem` says why a copy can't be read.

    Raises:
        ClampdownError: no set has one of the names, or a PATH holds no copy of its set that can be read.
    """
    wanted = [*BUILT_IN, *NAMED] if names is None else list(dict.fromkeys(names))
    told = [_builtin(kind) for name, kind in BUILT_IN.items() if name in wanted]
    asked = [split_name(name) for name in wanted if name not in BUILT_IN]
    places = list(NAMED)
    return told + [_named(named, path) for named, path in sorted(asked, key=lambda one: places.index(one[0].name))]


def _builtin(kind: str) -> dict[str, Any]:
    count = len(builtin_set(kind).items)
    return {
        "name": f"built-in {kind}",
        "kinds": [kind],
        "about": _BUILTIN[kind],
        "split": "all",
        "columns": _COLUMNS.get(kind, {"text": "prompt"}) | {"category": "category", "cluster": "cluster", "id": "id"},
        "keep": {},
        "items": count,
        "published": count,
        "at_hand": "built-in",
        "source": f"clampdown:{BUILTIN[kind]}",
        "gated": False,
        "revision": None,
        "verified": True,
        "licence": "Apache-2.0",
        "paper": None,
        "problem": None,
    }


def _named(named: NamedSet, path: str) -> dict[str, Any]:
    copy, count, problem = given(named, Path(path)) if path else at_hand(named), None, None
    if copy:
        try:
            count = len(load_named(named, copy).items)
        except ClampdownError as error:
            if path:
                raise
            problem = str(error)
    return {
        "name": named.name,
        "kinds": list(named.kinds),
        "about": named.about,
        "split": named.split,
        "columns": {part: column for part, column in asdict(named.columns).items() if column},
        "keep": {column: list(values) for column, values in named.keep.items()},
        "items": count,
        "published": named.size,
        "at_hand": copy and copy.where,
        "source": copy.source if copy else named.origin.page,
        "gated": named.origin.gated,
        "revision": named.origin.revision,
        "verified": named.origin.revision is not None,
        "licence": named.licence,
        "paper": named.paper,
        "problem": problem,
    }
