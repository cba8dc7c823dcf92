"""Prompt sets, questions and plain text: the built-in ones, and any file of the same layout."""

import hashlib
import json
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.tables import (
    TableRow,
    at_line,
    check_columns,
    columns_found,
    is_table,
    split_lines,
    table_rows,
)
from clampdown.reading import as_text, read_bytes, stand_in, unpacked

BUILTIN: dict[str, str] = {
    SetKind.UNSAFE: "unsafe.jsonl",
    SetKind.SAFE: "ordinary.jsonl",
    SetKind.LOOKALIKE: "lookalike.jsonl",
    SetKind.CAPABILITY: "capability.jsonl",
    SetKind.TEXT: "text.jsonl",
}
LM_EVAL, LETTERS = "lm-eval:", "letters:"
"""What the name of a capability set begins with that is one of lm-eval's tasks or groups, or that is answered in words,
with the letter of a choice."""
_FOLDER = Path(__file__).parent / "builtin"
_PASSAGE = 1000
"""Characters of a passage when a plain text file is cut into some."""


_COLUMNS = {"id", "category", "cluster", "label", "subject", "type", "choices", "answer", "target"}
_SAFE = ("safe", "benign", "harmless", "unharmful")
_UNSAFE = ("unsafe", "harmful")


@dataclass(frozen=True)
class Item:
    """One row: a prompt, or a question with its choices, or a passage. Items that share a goal share a cluster.

    Attributes:
        choices, answer: a question's choices, and the place of the right one.
        target: the right answer in words, where a question has no choices.
    """

    id: str
    text: str
    category: str
    cluster: str
    choices: tuple[str, ...] = ()
    answer: int = -1
    target: str = ""


@dataclass(frozen=True)
class ItemSet:
    """Items of one kind from one file. `sha256` is the file's; `split` says which part of it this is."""

    name: str
    kind: SetKind
    source: str
    sha256: str
    items: tuple[Item, ...]
    split: str = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", SetKind(self.kind))

    def half(self, which: str) -> "ItemSet":
        """The "select" or the "report" half: decided by a hash of each item's cluster, so clusters stay together."""
        kept = tuple(item for item in self.items if cluster_half(item.cluster) == which)
        if not kept:
            raise ClampdownError(f"set {self.name} has no item in its {which} half; it is too small to split")
        return replace(self, items=kept, split=which)

    def sample(self, limit: int | None, seed: int) -> "ItemSet":
        """A seeded sample of at most `limit` items, in the file's order."""
        if limit is None or limit >= len(self.items):
            return self
        if limit < 1:
            raise ClampdownError(f"a limit must be at least 1, got {limit}")
        chosen = sorted(random.Random(f"{seed} {self.name}").sample(range(len(self.items)), limit))
        return replace(self, items=tuple(self.items[i] for i in chosen))


def cluster_half(cluster: str) -> str:
    """The half a cluster falls in: "select" or "report"."""
    return ("select", "report")[hashlib.sha256(cluster.encode()).digest()[0] & 1]


def builtin_set(kind: str) -> ItemSet:
    """The built-in set of a kind, whole."""
    loaded = load_set(kind, _FOLDER / BUILTIN[kind])
    return replace(loaded, name=f"built-in {kind}", source=f"clampdown:{BUILTIN[kind]}")


def selecting_prompts(kind: str, count: int, seed: int) -> list[str]:
    """Prompts that no report uses: drawn by seed from the selecting half of the built-in set of a kind."""
    return [item.text for item in builtin_set(kind).half("select").sample(count, seed).items]


def load_set(kind: str, path: Path) -> ItemSet:
    """A set of `kind` from a table (JSONL, JSON, CSV, TSV, Parquet; also .gz), or a text: a prompt a line, or one long.

    Prompts come from a `prompt` column, questions from `question` with `choices` and `answer` (an index) or with a
    `target` in words, passages from `text`. Where rows have a `label` of safe or unsafe (also harmful, benign, harmless
    or unharmful), only those that fit the kind are taken; any other label is an error. Every row and field is read, or
    the file refused. Rows without a `cluster` are one cluster where their text is the same.

    Raises:
        ClampdownError: no such file, no usable row, or a row without what its kind needs.
    """
    path = Path(os.path.expanduser(path))
    rows, sha256 = read_rows(path, kind)
    if not rows:
        raise ClampdownError(f"set {path} is empty; a file needs at least one {kind} item")
    check_columns(rows, _COLUMNS | {SetKind(kind).column})
    items = tuple(
        make_item(row.cells, kind, row.where, f"{path.name}-{row.number}") for row in rows if _fits(row, kind)
    )
    if not items:
        raise ClampdownError(f"set {path} holds no {kind} item; a file needs at least one")
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return ItemSet(name, SetKind(kind), str(path), sha256, items)


def read_rows(path: Path, kind: str, inside: str = "") -> tuple[list[TableRow], str]:
    """A file's rows as they are, and the file's SHA-256. `inside` names the list in a JSON file that is an object.

    Raises:
        ClampdownError: the file can't be read, or is not what its name says.
    """
    data, name = read_bytes(path, "set"), f"set {path}"
    rows = table_rows(data, path, name, inside) if is_table(path) else _plain(data, path, kind)
    return rows, hashlib.sha256(data).hexdigest()


def _plain(data: bytes, path: Path, kind: str) -> list[TableRow]:
    """The rows of a file that is no table: a prompt a line, or passages of one long text."""
    name = f"set {path}"
    text = as_text(unpacked(data, path, "set"), name)
    if kind == SetKind.CAPABILITY:
        raise ClampdownError(f"{name}: questions come as JSONL with question, choices and answer")
    if kind == SetKind.TEXT:
        passages = (text[i : i + _PASSAGE] for i in range(0, len(text), _PASSAGE))
        held = enumerate((passage for passage in passages if passage.strip()), 1)
        return [TableRow({"text": passage}, number, f"{name}, passage {number}") for number, passage in held]
    if text and (found := stand_in(text[:512].encode())):
        raise ClampdownError(f"can't read {name}: {found}")
    lines = [(line, text.strip()) for line, text in enumerate(split_lines(text), 1) if text.strip()]
    if lines and (layout := _seems(lines[0][1])):
        raise ClampdownError(f"{name} seems to be {layout}, and would be read as a prompt a line; end its name in that")
    return [TableRow({"prompt": text}, n, at_line(name, line, n)) for n, (line, text) in enumerate(lines, 1)]


def _seems(line: str) -> str:
    """The layout of a table that the first line of a text shows; empty for a prompt."""
    if line.startswith("{") and line.endswith("}"):
        try:
            return ".jsonl" if isinstance(json.loads(line), dict) else ""
        except (ValueError, RecursionError):
            return ""
    headers = [line.split(mark) for mark in ",;\t" if mark in line]
    if any(column.strip().strip('"').casefold() == "prompt" for columns in headers for column in columns):
        return ".tsv" if "\t" in line else ".csv"
    return ""


def safety(row: TableRow) -> SetKind | None:
    """What the label of a row says of it: safe or unsafe; None where the row has no such column.

    Raises:
        ClampdownError: it says something else, such as 1, which might be either.
    """
    if "label" not in row.cells:
        return None
    label = row.cells["label"]
    said = " ".join(str("" if label is None else label).split()).casefold()
    if said in _SAFE or said in _UNSAFE:
        return SetKind.SAFE if said in _SAFE else SetKind.UNSAFE
    raise ClampdownError(
        f"{row.where} has the label {label!r}, which is neither {' or '.join(_UNSAFE)} nor {' or '.join(_SAFE)}; write "
        "one of these, or rename or take out the column 'label' to use every row"
    )


def _fits(row: TableRow, kind: str) -> bool:
    kind = SetKind(kind)
    return kind.is_scored or safety(row) in (None, SetKind.UNSAFE if kind.wants_refusal else SetKind.SAFE)


def make_item(row: dict[str, Any], kind: str, where: str, name: str) -> Item:
    """The item of a row whose columns are called as `load_set` has them.

    Args:
        where: what an error calls the row.
        name: the item's id, where the row has none.
    """
    column = SetKind(kind).column
    text = row.get(column)
    if column not in row:
        raise ClampdownError(f"{where} has no {column!r}; {kind} sets need that column ({columns_found(row)})")
    if not isinstance(text, str) or not text.strip():
        raise ClampdownError(f"{where} has no text in {column!r}; write one, or take the row out")
    choices, answer, target = _question(row, where) if kind == SetKind.CAPABILITY else ((), -1, "")
    category = str(row.get("category") or row.get("subject") or row.get("type") or "")
    name = str(row.get("id") or name)
    return Item(name, text, category, str(row.get("cluster") or _same_text(text)), choices, answer, target)


def _same_text(text: str) -> str:
    """A cluster for all that say the same, in whatever set: so none of it is selected on and reported on."""
    return "text:" + hashlib.sha256(" ".join(text.casefold().split()).encode("utf-8", "replace")).hexdigest()[:16]


def _question(row: dict[str, Any], where: str) -> tuple[tuple[str, ...], int, str]:
    choices, answer, target = row.get("choices"), row.get("answer"), row.get("target")
    if choices is None and isinstance(target, str) and target.strip():
        return (), -1, target.strip()
    if isinstance(answer, str) and len(answer) == 1 and answer.upper() in "ABCDEFGH":
        answer = "ABCDEFGH".index(answer.upper())
    good = isinstance(choices, list) and len(choices) > 1 and all(str(choice).strip() for choice in choices)
    if not good or type(answer) is not int or not 0 <= answer < len(choices or ()):
        raise ClampdownError(f"{where} needs choices (a list) and answer (the index of the right one)")
    return tuple(map(str, choices or ())), answer, ""
