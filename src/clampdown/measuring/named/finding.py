"""A set by its name or its file: which of the two was meant, and the items it then holds."""

import difflib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.named import NAMED
from clampdown.measuring.named.copies import Copy, at_hand, fetch, given
from clampdown.measuring.named.page import NamedSet
from clampdown.measuring.sets import Item, ItemSet, load_set, make_item, read_rows


def find_set(kind: str, name: str | Path) -> ItemSet:
    """The set of `kind` that a file's path or a set's name stands for; `name=path` reads a copy of your own.

    A real file wins over a name. What is not at hand is fetched.

    Raises:
        ClampdownError: neither a file nor a name, a set of another kind, no way to fetch it, or a row that is wrong.
    """
    text = str(name)
    if Path(text).expanduser().is_file():
        return load_set(kind, Path(text))
    named, path = split_name(text)
    if kind not in named.kinds:
        raise ClampdownError(f"set {named.name} is of kind {named.kinds[0]}, not {kind}; pass it as {named.kinds[0]}")
    return load_named(named, given(named, Path(path)) if path else at_hand(named) or fetch(named), kind)


def split_name(text: str) -> tuple[NamedSet, str]:
    """The set that a name stands for, and the path behind its "=", if any.

    Raises:
        ClampdownError: there is neither such a file nor such a set; close names are told.
    """
    name, _, path = text.partition("=")
    if name in NAMED:
        return NAMED[name], path
    word = Path(name).name.lower()
    close = [n for n in NAMED if word and n.startswith(word)] or difflib.get_close_matches(word, NAMED, 3, 0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "`clampdown sets` lists the names"
    raise ClampdownError(f"no file {text}, and no set has that name; {hint}")


def load_named(named: NamedSet, copy: Copy, kind: str = "") -> ItemSet:
    """The items of a copy's files, as the set's own kind or another of its kinds.

    Raises:
        ClampdownError: a file can't be read, or is of another layout.
    """
    kind = kind or named.kinds[0]
    items: list[Item] = []
    hashes: list[str] = []
    for path in copy.paths:
        rows, sha256 = read_rows(path, named.kinds[0], named.origin.inside)
        hashes.append(sha256)
        for number, row in enumerate(rows, 1):
            if not (copy.ready or _kept(named, row, path, number)):
                continue
            plain = _plain(named, row, len(items) + 1)
            if named.blank and not plain["prompt"]:
                continue
            items.append(make_item(plain, kind, path, number))
    if not items:
        raise ClampdownError(f"{copy.source} holds no item of set {named.name}; is it another part of it?")
    sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return ItemSet(named.name, kind, copy.source, sha256, tuple(items))


def _kept(named: NamedSet, row: Mapping[str, Any], path: Path, number: int) -> bool:
    for column, allowed in named.keep.items():
        value = _get(row, column)
        if value is _NONE:
            raise ClampdownError(f"set {named.name}: {path}, row {number} has no column {column.replace('|', ' or ')}")
        if str(value).strip().lower() not in allowed:
            return False
    return True


def _plain(named: NamedSet, row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The row under the names of columns that `make_item` knows."""
    c = named.columns
    text, context, target = (_text(row, column) for column in (c.text, c.context, c.target))
    text = f"{context}\n\n{text}" if context else text
    own, cluster = _text(row, c.id), _text(row, c.cluster)
    if len(cluster) > 80:
        cluster = hashlib.sha256(cluster.encode("utf-8", "replace")).hexdigest()[:16]
    choices, answer = _question(row, named) if c.choices else (None, None)
    return {
        "prompt": text,
        "question": text,
        "id": own if own.startswith(named.family) else f"{named.family}-{own or number}",
        "category": _text(row, c.category),
        "cluster": cluster and f"{named.family}/{cluster}",
        "choices": choices,
        "answer": answer,
        "target": target.rpartition("####")[2].strip(),
    }


def _question(row: Mapping[str, Any], named: NamedSet) -> tuple[Any, Any]:
    """A question's choices, and the place of the right one; what can't be made out is left for `make_item` to tell."""
    c = named.columns
    choices, labels, answer = (_get(row, column) for column in (c.choices, c.labels, c.answer))
    if isinstance(answer, Mapping):  # from each choice to 1 or 0
        answer = list(answer.values())
    if isinstance(answer, list):
        answer = answer.index(1) if 1 in answer else None
    elif isinstance(labels, list):
        answer = labels.index(answer) if answer in labels else None
    elif isinstance(answer, str) and answer.isdigit():
        answer = int(answer)
    return (list(choices) if isinstance(choices, Mapping | list) else None), answer


_NONE = object()


def _text(row: Mapping[str, Any], column: str) -> str:
    value = _get(row, column) if column else None
    return "" if value is None or value is _NONE else str(value)


def _get(row: Mapping[str, Any], column: str) -> Any:
    """What a row has under a column's name, in the notation of `Columns`; `_NONE` where it has none."""
    for name in column.split("|"):
        if "+" in name:
            found: Any = [row[part] for part in name.split("+") if part in row] or _NONE
        else:
            found = row
            for part in name.split("."):
                found = _step(found, part)
        if found is not _NONE:
            return found
    return _NONE


def _step(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part, _NONE)
    if isinstance(value, list) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    return _NONE
