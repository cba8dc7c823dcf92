"""Answers to judge from a file, perhaps with people's labels."""

import csv
import gzip
import io
import os
import zlib
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.judges.base import Row
from clampdown.measuring.sets import json_row

HUMAN = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
"""XSTest's labels."""


def read_labelled(path: Path, *, labels: bool) -> tuple[list[Row], list[str]]:
    """Rows of a .jsonl or .csv file (also .gz) with columns prompt, completion and, where asked for, human_label.

    Returns the rows and their labels (empty where not asked for). Raises ClampdownError: unreadable, a row lacks one.
    """
    path = Path(os.path.expanduser(path))
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ClampdownError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
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
    return rows, human if labels else []


def _rows(text: str, path: Path) -> list[dict[str, Any]]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        csv.field_size_limit(1 << 24)
        try:
            return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise ClampdownError(f"{path} is not readable CSV ({error})") from error
    if not name.endswith((".jsonl", ".json")):
        raise ClampdownError(f"{path} must be .jsonl or .csv, perhaps with .gz behind it")
    return [json_row(line, str(path), n) for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def _yes(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes")
