"""A set by its name or its file: which of the two was meant, and the items it then holds."""

import difflib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.named import BUILT_IN, NAMED
from clampdown.measuring.sets.named.copies import Copy, at_hand, fetch, given
from clampdown.measuring.sets.named.page import NamedSet
from clampdown.measuring.sets.sets import Item, ItemSet, builtin_set, load_set, make_item, read_rows
from clampdown.measuring.sets.tables import TableRow, columns_found


def find_set(kind: str, name: str | Path) -> ItemSet:
    """The set of `kind` that a file's path or a set's name stands for; `name=path` reads a copy of your own.

    A real file wins over a name. What is not at hand is fetched.

    Raises:
        ClampdownError: neither a file nor a name, a set of another kind, no way to fetch it, or a row that is wrong; or
            a file is a known set's, and holds rows that are none of that set.
    """
    text = str(name)
    file = Path(text).expanduser()
    if file.is_file():
        loaded = load_set(kind, file)
        _check_layout(loaded, file)
        return loaded
    if text in BUILT_IN:
        _check_kind(text, (BUILT_IN[text],), kind)
        return builtin_set(kind)
    named, path = split_name(text)
    _check_kind(named.name, named.kinds, kind)
    return load_named(named, given(named, Path(path)) if path else at_hand(named) or fetch(named), kind)


def reported_set(kind: str, name: str | Path) -> ItemSet:
    """As `find_set`, but of a built-in set the reporting half: its other half is there to choose latents on."""
    found = find_set(kind, name)
    return found.half("report") if found.source.startswith("clampdown:") else found


def check_name(text: str) -> None:
    """Raise ClampdownError unless a set has this name, perhaps with a path behind it."""
    if text not in BUILT_IN:
        split_name(text)


def _check_kind(name: str, kinds: tuple[str, ...], kind: str) -> None:
    if kind not in kinds:
        raise ClampdownError(f"set {name} is of kind {kinds[0]}, not {kind}; pass it as {kinds[0]}")


def _check_layout(taken: ItemSet, path: Path) -> None:
    """A known set's file, given without its name, would count rows that the set leaves out: harmless ones as unsafe.

    Only a file with every column that the set's page names is taken for it.
    """
    pages = [named for named in NAMED.values() if named.keep and taken.kind in named.kinds]
    rows = read_rows(path, taken.kind)[0] if pages else []
    held = {
        named.name: sum(_kept(named, row) for row in rows)
        for named in pages
        if all(_laid_out(named, row.cells) for row in rows)
    }
    held = {name: count for name, count in held.items() if count}
    if held and max(held.values()) < len(taken.items):
        told = " or ".join(f"{name}={path} ({count} of {len(taken.items)} rows)" for name, count in held.items())
        names = next(iter(NAMED[next(iter(held))].keep)).split("|")
        column = next(name for name in names if _get(rows[0].cells, name) is not _NONE)
        raise ClampdownError(
            f"set {path} has the columns of {' and '.join(held)}, to which not all its rows belong; write {told}, or "
            f"take out its column {column} to use every row"
        )


def _laid_out(named: NamedSet, row: Mapping[str, Any]) -> bool:
    c = named.columns
    wanted = [column for column in (c.text, c.context, c.category, c.cluster, c.id, *named.keep) if column]
    return all(_get(row, column) is not _NONE for column in wanted)


def split_name(text: str) -> tuple[NamedSet, str]:
    """The set that a name stands for, and the path behind its "=", if any.

    Raises:
        ClampdownError: there is neither such a file nor such a set; close names are told.
    """
    name, sign, path = text.partition("=")
    if name in NAMED:
        if sign and not path:
            raise ClampdownError(f"{text} names no file; write one behind the =, or {name} alone")
        return NAMED[name], path
    word = Path(name).name.lower()
    names = [*NAMED, *BUILT_IN]
    close = [n for n in names if word and n.startswith(word)] or difflib.get_close_matches(word, names, 3, 0.5)
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
        for row in rows:
            if not (copy.ready or _kept(named, row)):
                continue
            plain = _plain(named, row.cells, len(items) + 1)
            if named.blank and not plain["prompt"]:
                continue
            for column in filter(None, (named.columns.text, named.columns.context)):
                _check_column(named, row, column)
            items.append(make_item(plain, kind, row.where, plain["id"]))
    if not items:
        raise ClampdownError(f"{copy.source} holds no item of set {named.name}; is it another part of it?")
    sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return ItemSet(named.name, SetKind(kind), copy.source, sha256, tuple(items))


def _kept(named: NamedSet, row: TableRow) -> bool:
    for column, allowed in named.keep.items():
        _check_column(named, row, column)
        if str(_get(row.cells, column)).strip().lower() not in allowed:
            return False
    return True


def _check_column(named: NamedSet, row: TableRow, column: str) -> None:
    if _get(row.cells, column) is _NONE:
        told = column.replace("|", " or ")
        raise ClampdownError(f"set {named.name}: {row.where} has no column {told} ({columns_found(row.cells)})")


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
