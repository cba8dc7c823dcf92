"""Prompt sets, questions and plain text: the built-in ones, and any file of the same layout."""

import csv
import gzip
import hashlib
import io
import json
import os
import random
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError

KINDS = ("unsafe", "safe", "lookalike", "capability", "text")
BUILTIN = {
    "unsafe": "unsafe.jsonl",
    "safe": "ordinary.jsonl",
    "lookalike": "lookalike.jsonl",
    "capability": "capability.jsonl",
    "text": "text.jsonl",
}
LM_EVAL, LETTERS = "lm-eval:", "letters:"
"""What the name of a capability set begins with that is one of lm-eval's tasks or groups, or that is answered in words,
with the letter of a choice."""
_FOLDER = Path(__file__).parent / "builtin"
_PASSAGE = 1000
"""Characters of a passage when a plain text file is cut into some."""


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
    kind: str
    source: str
    sha256: str
    items: tuple[Item, ...]
    split: str = "all"

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
    `target` in words, passages from `text`. Where rows have a `label` of safe or unsafe, only those that fit the kind
    are taken. Rows without a `cluster` are one cluster where their text is the same.

    Raises:
        ClampdownError: no such file, no usable row, or a row without what its kind needs.
    """
    path = Path(os.path.expanduser(path))
    rows, sha256 = read_rows(path, kind)
    items = tuple(make_item(row, kind, path, number) for number, row in enumerate(rows, 1) if _fits(row, kind))
    if not items:
        raise ClampdownError(f"set {path} holds no {kind} item; a file needs at least one")
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return ItemSet(name, kind, str(path), sha256, items)


def read_rows(path: Path, kind: str, inside: str = "") -> tuple[list[dict[str, Any]], str]:
    """A file's rows as they are, and the file's SHA-256. `inside` names the list in a JSON file that is an object.

    Raises:
        ClampdownError: the file can't be read, or is not what its name says.
    """
    try:
        data = path.read_bytes()
        raw = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
        packed = path.name.lower().removesuffix(".gz").endswith(".parquet")
        rows = _parquet(raw, path) if packed else _rows(raw.decode("utf-8-sig"), path, kind, inside)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:  # a cut or damaged .gz has errors of its own
        raise ClampdownError(f"can't read set {path}: {getattr(error, 'strerror', None) or error}") from error
    return rows, hashlib.sha256(data).hexdigest()


def _rows(text: str, path: Path, kind: str, inside: str) -> list[dict[str, Any]]:
    name = path.name.lower().removesuffix(".gz")
    # Lines end at \n only: JSON may hold U+2028 and its like as they are, which splitlines would cut at.
    lines = text.split("\n")
    if name.endswith(".json") and (inside or text.lstrip().startswith("[")):
        return _json(text, path, inside)
    if name.endswith((".jsonl", ".json")):
        return [json_row(line, f"set {path}", n) for n, line in enumerate(lines, 1) if line.strip()]
    if name.endswith((".csv", ".tsv")):
        try:
            return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if name.endswith("tsv") else ","))
        except csv.Error as error:
            raise ClampdownError(f"set {path} is not readable CSV ({error})") from error
    if kind == "capability":
        raise ClampdownError(f"set {path}: questions come as JSONL with question, choices and answer")
    if kind == "text":
        passages = (text[i : i + _PASSAGE] for i in range(0, len(text), _PASSAGE))
        return [{"text": passage} for passage in passages if passage.strip()]
    return [{"prompt": line.strip()} for line in lines if line.strip()]


def _json(text: str, path: Path, inside: str) -> list[dict[str, Any]]:
    """The rows of a JSON file that is one list; a row that is a mere text is its prompt."""
    try:
        body = json.loads(text)
        rows = body[inside] if inside else body
        if not isinstance(rows, list):
            raise ValueError(f"found {type(rows).__name__}")
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise ClampdownError(f"set {path} is not a JSON list of rows ({error})") from error
    rows = [{"prompt": row} if isinstance(row, str) else row for row in rows]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ClampdownError(f"set {path}, row {number} is not a JSON object")
    return rows


def _parquet(data: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ClampdownError(f"set {path} is a Parquet file; to read it: pip install pyarrow") from error
    try:
        return list(parquet.read_table(pyarrow.BufferReader(data)).to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        raise ClampdownError(f"set {path} is not readable Parquet ({str(error).partition(chr(10))[0]})") from error


def json_row(line: str, where: str, number: int) -> dict[str, Any]:
    """The object on one line of a JSONL file; `where` and `number` name it in the ClampdownError if it is none."""
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ClampdownError(f"{where}, line {number} is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise ClampdownError(f"{where}, line {number} is not a JSON object")
    return row


def _fits(row: dict[str, Any], kind: str) -> bool:
    label = row.get("label")
    return (
        label not in ("safe", "unsafe") or kind in ("capability", "text") or (label == "unsafe") == (kind == "unsafe")
    )


def make_item(row: dict[str, Any], kind: str, path: Path, number: int) -> Item:
    """The item of a row whose columns are called as `load_set` has them; `path` and `number` name it in an error."""
    column = {"capability": "question", "text": "text"}.get(kind, "prompt")
    text = row.get(column)
    if not isinstance(text, str) or not text.strip():
        raise ClampdownError(f"set {path}, row {number} has no {column!r}; {kind} sets need that column")
    choices, answer, target = _question(row, path, number) if kind == "capability" else ((), -1, "")
    name = str(row.get("id") or f"{path.name}-{number}")
    category = str(row.get("category") or row.get("subject") or row.get("type") or "")
    return Item(name, text, category, str(row.get("cluster") or _same_text(text)), choices, answer, target)


def _same_text(text: str) -> str:
    """A cluster for all that say the same, in whatever set: so none of it is selected on and reported on."""
    return "text:" + hashlib.sha256(" ".join(text.casefold().split()).encode("utf-8", "replace")).hexdigest()[:16]


def _question(row: dict[str, Any], path: Path, number: int) -> tuple[tuple[str, ...], int, str]:
    choices, answer, target = row.get("choices"), row.get("answer"), row.get("target")
    if choices is None and isinstance(target, str) and target.strip():
        return (), -1, target.strip()
    if isinstance(answer, str) and len(answer) == 1 and answer.upper() in "ABCDEFGH":
        answer = "ABCDEFGH".index(answer.upper())
    good = isinstance(choices, list) and len(choices) > 1 and all(str(choice).strip() for choice in choices)
    if not good or type(answer) is not int or not 0 <= answer < len(choices or ()):
        raise ClampdownError(f"set {path}, row {number} needs choices (a list) and answer (the index of the right one)")
    return tuple(map(str, choices or ())), answer, ""
