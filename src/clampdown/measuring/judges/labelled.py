"""Answers to judge: from a file, perhaps with people's labels, or from a study's export."""

import csv
import gzip
import io
import json
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError
from clampdown.measuring.judges.base import Row
from clampdown.measuring.sets import json_row

HUMAN = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
"""XSTest's labels."""
_EXPORT = "clampdown-rows/"
_PLACE = ("arm", "set", "item", "draw", "sample")
_KINDS = (
    "a .jsonl or .csv file, perhaps with .gz behind it, or a study's JSON export (clampdown export STUDY --format json)"
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
    """Rows of a .jsonl or .csv file (also .gz) with columns prompt, completion and, where asked for, human_label.

    Of a study's JSON export, every answer in words: of an attack its goal, and the answer that it ended on.

    Raises:
        ClampdownError: the file can't be read or holds no row, or a row lacks a column.
    """
    path = Path(os.path.expanduser(path))
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".jsonl", ".json")):
        raise ClampdownError(f"can't judge {path}; name {_KINDS}")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ClampdownError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
    if not labels and (exported := _exported(text)) is not None:
        return _answers(exported, path)
    rows, human = [], []
    for number, row in enumerate(_rows(text, path), 1):
        prompt, completion, label = (row.get(key) for key in ("prompt", "completion", "human_label"))
        if not isinstance(prompt, str) or not isinstance(completion, str):
            raise ClampdownError(f"{path}, row {number} needs text in the columns 'prompt' and 'completion'")
        if labels and label not in HUMAN:
            raise ClampdownError(
                f"{path}, row {number}: human_label is {label!r}, and must be one of {', '.join(HUMAN)}"
            )
        rows.append(Row(prompt, completion, _yes(row.get("truncated"))))
        human.append(str(label))
    if not rows:
        raise ClampdownError(f"{path} holds no row; a file needs at least one")
    return Labelled(rows, human if labels else [], [])


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


def _rows(text: str, path: Path) -> list[dict[str, Any]]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        usual = csv.field_size_limit(1 << 24)  # answers are longer than fields commonly are
        try:
            return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise ClampdownError(f"{path} is not readable CSV ({error})") from error
        finally:
            csv.field_size_limit(usual)
    return [json_row(line, str(path), n) for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def _yes(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes")
