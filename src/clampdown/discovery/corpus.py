"""Text for training an SAE: chat and text files turned into rows of token ids."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.tables import columns_found, is_table, json_row, table_rows
from clampdown.models.chat_model import ChatModel
from clampdown.models.dialogue import Message
from clampdown.reading import numbered_lines, read_bytes, read_text

ROW_TOKENS = 256
"""Longest row; longer documents are cut into several."""


def read_rows(model: ChatModel, paths: Sequence[Path], seed: int, limit: int | None = None) -> list[list[int]]:
    """Rows of at most `ROW_TOKENS` ids, in a seeded order, from files of chats or plain text.

    Rows of JSONL or another table (also .gz) may hold `messages`, `turns` (speakers alternate), `instruction` with
    `input` and `output`, `prompt` with `completion`, `question` with `answer`, or `text`; any other file is plain text.
    Chats go through the model's template. `limit` bounds the tokens.

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
    if ".jsonl" in path.name:
        for number, line in numbered_lines(path):
            if line.strip():
                yield row_document(json_row(line, str(path), number), f"{path}, line {number}")
    elif is_table(path):
        for row in table_rows(read_bytes(path), path, str(path)):
            yield row_document(row.cells, row.where)
    else:
        yield from _plain(read_text(path))


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


def row_document(row: dict[str, Any], where: str) -> str | list[Message]:
    """The text or chat of one row, in the layouts of `read_rows`; `where` names it in the ClampdownError for none."""
    try:
        document = _document(row, where)
        texts = [document] if isinstance(document, str) else [text for m in document for text in m.values()]
        if texts and all(isinstance(text, str) for text in texts):
            return document
    except (KeyError, TypeError):
        pass
    raise ClampdownError(f"{where}: messages need a role and a content each, and every content is a text")


def _document(row: dict[str, Any], where: str) -> str | list[Message]:
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
    kinds = "messages, turns, instruction, prompt, question or text"
    raise ClampdownError(f"{where} has no {kinds} ({columns_found(row)})")
