"""Answers to judge: from a file, perhaps with people's labels, or from a study's export."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.base import Row
from clampdown.measuring.sets.tables import TableRow, check_columns, columns_found, table_rows
from clampdown.reading import as_text, read_bytes, unpacked

HUMAN = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
"""XSTest's labels."""
_LABELS = ("human_label", "final_label")
"""Our column of people's labels, and the one of XSTest's own files."""
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no", "")
_EXPORT = "clampdown-rows/"
_PLACE = ("arm", "set", "item", "draw", "sample")
_KINDS = (
    "a .jsonl, .json, .csv or .tsv file, perhaps with .gz behind it, or a study's JSON export "
    "(clampdown export STUDY --format json)"
)


class Labelled(NamedTuple):
    """Answers to judge.

    human: people's labels, one a row; empty where none were asked for.
    places: of a study's answers {"arm", "set", "item", "draw", "sample"}, one a row; empty for other files.
    """

    rows: list[Row]
    human: list[str]
    places: list[dict[str, Any]]


def read_labelled(path: Path, *, labels: bool) -> Labelled:
    """Rows of a table (.jsonl, .json, .csv or .tsv, also .gz) with columns prompt, completion and perhaps truncated.

    Where labels are asked for, also human_label or, as XSTest's own files call it, final_label. Of a study's JSON
    export, every answer in words: of an attack its goal, and the answer that it ended on.

    Raises:
        ClampdownError: the file can't be read wholly or holds no row, or a row lacks a column.
    """
    path = Path(os.path.expanduser(path))
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".jsonl", ".json")):
        raise ClampdownError(f"can't judge {path}; name {_KINDS}")
    data = read_bytes(path)
    if not labels and (exported := _exported(as_text(unpacked(data, path), str(path)))) is not None:
        return _answers(exported, path)
    table = table_rows(data, path, str(path))
    if not table:
        raise ClampdownError(f"{path} holds no row; a file needs at least one")
    check_columns(table, {"prompt", "completion", "truncated", *(_LABELS if labels else ())})
    rows = [_row(row) for row in table]
    return Labelled(rows, [_human(row) for row in table] if labels else [], [])


def _row(row: TableRow) -> Row:
    prompt, completion = (row.cells.get(column) for column in ("prompt", "completion"))
    if not isinstance(prompt, str) or not isinstance(completion, str):
        raise ClampdownError(
            f"{row.where} needs text in the columns 'prompt' and 'completion' ({columns_found(row.cells)})"
        )
    truncated = row.cells.get("truncated")
    said = str("" if truncated is None else truncated).strip().lower()
    if said not in (*_YES, *_NO):
        raise ClampdownError(f"{row.where}: truncated is {truncated!r}, and must be true or false")
    return Row(prompt, completion, said in _YES)


def _human(row: TableRow) -> str:
    column = next((column for column in _LABELS if column in row.cells), None)
    if column is None:
        raise ClampdownError(f"{row.where} has no {' or '.join(_LABELS)} ({columns_found(row.cells)})")
    said = str(row.cells[column]).strip().lower()
    if said not in HUMAN:
        raise ClampdownError(f"{row.where}: {column} is {row.cells[column]!r}, and must be one of {', '.join(HUMAN)}")
    return said


def _exported(text: str) -> list[Any] | None:
    """What a study's export has for rows; None for any other file."""
    if _EXPORT not in text[:200]:
        return None
    try:
        body = json.loads(text)
        rows = body["rows"]
        if not str(body["schema"]).startswith(_EXPORT):
            return None
        return rows if isinstance(rows, list) else [rows]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _answers(exported: list[Any], path: Path) -> Labelled:
    whole = all(
        isinstance(row, dict) and isinstance(row.get("prompt"), str) and isinstance(row.get("text"), str | None)
        for row in exported
    )
    if not whole:
        raise ClampdownError(f"{path} is a damaged export; write it again with clampdown export STUDY --format json")
    said = [row for row in exported if row.get("text") is not None]
    if not said:
        raise ClampdownError(f"{path} holds no answer in words; there is nothing to judge")
    rows = [Row(row["prompt"], row["text"], row.get("finished") is False) for row in said]
    return Labelled(rows, [], [{key: row.get(key) for key in _PLACE} for row in said])
