"""Text for training an SAE: chat and text files turned into rows of token ids."""

import gzip
import random
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets import json_row
from clampdown.models.chat_model import ChatModel, Message

ROW_TOKENS = 256
"""Longest row; longer documents are cut into several."""


def read_rows(model: ChatModel, paths: Sequence[Path], seed: int, limit: int | None = None) -> list[list[int]]:
    """Rows of at most `ROW_TOKENS` ids, in a seeded order, from files of chats or plain text.

    JSONL rows (also .gz) may hold `messages`, `turns` (speakers alternate), `instruction` with `input` and `output`,
    `prompt` with `completion`, `question` with `answer`, or `text`; any other file is plain text. Chats go through
    the model's template. `limit` bounds the tokens.

    Raises:
        ClampdownError: a file is missing, holds no text, or has a line that is not JSON.
    """
    rows: list[list[int]] = []
    for path in paths:
        before = len(rows)
        for document in documents(path):
            ids = model.ids(document) if isinstance(document, str) else model.chat_ids(document, answer=False)
            rows.extend(ids[i : i + ROW_TOKENS] for i in range(0, len(ids), ROW_TOKENS))
        if len(rows) == before:
            raise ClampdownError(f"{path} holds no text to train on")
    rows = [row for row in rows if len(row) > 8]
    if not rows:
        raise ClampdownError(f"{', '.join(map(str, paths))}: no text of more than 8 tokens to train on")
    random.Random(seed).shuffle(rows)
    return rows if limit is None else _limited(rows, limit)


def _limited(rows: list[list[int]], limit: int) -> list[list[int]]:
    total, kept = 0, []
    for row in rows:
        if total >= limit:
            break
        kept.append(row)
        total += len(row)
    return kept


def documents(path: Path) -> Iterator[str | list[Message]]:
    """A file's texts and chats one by one, in the layouts of `read_rows`, which also tells the errors."""
    if not path.is_file():
        raise ClampdownError(f"no file {path}")
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as stream:
            if ".jsonl" not in path.name:
                yield from _plain(stream.read())
                return
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield row_document(json_row(line, str(path), number), path, number)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ClampdownError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error


def _plain(text: str) -> Iterator[str]:
    """Pieces of a long text, cut where a paragraph ends."""
    piece = ""
    for paragraph in text.split("\n\n"):
        piece += paragraph + "\n\n"
        if len(piece) > 4000:
            yield piece
            piece = ""
    if piece.strip():
        yield piece


def row_document(row: dict, path: Path, number: int) -> str | list[Message]:
    """The text or chat of one row, in the layouts of `read_rows`. Raises ClampdownError if it holds none."""
    try:
        document = _document(row, path, number)
        texts = [document] if isinstance(document, str) else [text for m in document for text in m.values()]
        if texts and all(isinstance(text, str) for text in texts):
            return document
    except (KeyError, TypeError):
        pass
    raise ClampdownError(f"{path}, line {number}: messages need a role and a content each, and every content is a text")


def _document(row: dict, path: Path, number: int) -> str | list[Message]:
    if "messages" in row:
        answer = [{"role": "assistant", "content": row["chosen"]}] if row.get("chosen") else []
        return [{"role": m["role"], "content": m["content"]} for m in row["messages"]] + answer
    if "turns" in row:
        return [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(row["turns"])]
    for ask, reply in (("instruction", "output"), ("prompt", "completion"), ("question", "answer")):
        if ask in row:
            user = row[ask] + ("\n" + row["input"] if row.get("input") else "")
            chat = [{"role": "user", "content": user}]
            return chat + ([{"role": "assistant", "content": str(row[reply])}] if row.get(reply) else [])
    if "text" in row:
        return row["text"]
    raise ClampdownError(f"{path}, line {number} has no messages, turns, instruction, prompt, question or text")
