"""What a gate is fitted on and checked with: requests, conversations or raw text, each unsafe or safe."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import PROMPTS
from clampdown.measuring.sets.named import NAMED
from clampdown.measuring.sets.named.finding import find_set, reported_set, split_name
from clampdown.measuring.sets.sets import builtin_set, read_rows, safety
from clampdown.measuring.sets.tables import TableRow, is_table
from clampdown.models.chat_model import ChatModel
from clampdown.models.dialogue import Message
from clampdown.models.prompt import Prompt

ITEMS = Path(__file__).parent / "items"
"""The prompts that come along, written for the project: JSONL, a file a kind."""
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class GateRow:
    """One prompt, or a conversation that ends with a user's turn.

    Attributes:
        raw: its one turn is given to the model as it stands, without a chat template or a system prompt.
        kind: rows of a kind are weighed, and told of, together: the shipped items' kinds, or the set's name.
        cluster: rows that share one never come apart: the safe and the unsafe of a pair, say.
    """

    messages: tuple[tuple[str, str], ...]
    unsafe: bool
    kind: str
    cluster: str
    raw: bool = False

    def prompt(self, model: ChatModel, system: str | None = None) -> Prompt:
        """As the model reads it."""
        return Prompt(model.text_ids(self.text)) if self.raw else model.prompt_ids(self.chat, system=system)

    @property
    def chat(self) -> list[Message]:
        return [{"role": role, "content": content} for role, content in self.messages]

    @property
    def text(self) -> str:
        """What its last turn says."""
        return self.messages[-1][1]


def shipped_rows() -> list[GateRow]:
    """The items that come along, and the selecting halves of the built-in sets.

    Raises:
        ClampdownError: this copy has no items.
    """
    files = sorted(ITEMS.glob("*.jsonl"))
    if not files:
        raise ClampdownError(
            "this copy of Clampdown has no prompts to fit a gate on; name --unsafe and --safe files, and --only"
        )
    found = [row for file in files for row in read_gate_rows(file)]
    for kind in PROMPTS:
        half = builtin_set(kind).half("select")
        found += [_row(item.text, kind.wants_refusal, half.name, item.cluster) for item in half.items]
    return found


def fitting_rows(name: str | Path, unsafe: bool) -> list[GateRow]:
    """Rows to fit on from a file or a named set; of a built-in set its selecting half."""
    return _named(name, unsafe, "select")


def checking_rows(name: str | Path, unsafe: bool) -> list[GateRow]:
    """Rows to report on from a file or a named set; of a built-in set its reporting half.

    Raises:
        ClampdownError: it can't be read, has no such row, or a row is wrong.
    """
    return _named(name, unsafe, "report")


def without_reported(rows: Sequence[GateRow]) -> list[GateRow]:
    """The rows but those whose prompt stands in the reporting half of a built-in set."""
    return [row for row in rows if _plain(row.text) not in _reported()]


@cache
def _reported() -> frozenset[str]:
    return frozenset(_plain(item.text) for kind in PROMPTS for item in builtin_set(kind).half("report").items)


def _named(name: str | Path, unsafe: bool, half: str) -> list[GateRow]:
    file = Path(name).expanduser()
    table = read_rows(file, "safe")[0] if file.is_file() and is_table(file) else []
    own = {"messages", "raw", "text"}
    if any("messages" in row.cells or (own & set(row.cells) and "prompt" not in row.cells) for row in table):
        return _of_table(table, file, unsafe)
    kind = _kind(str(name), unsafe)
    found = find_set(kind, name) if half == "select" else reported_set(kind, name)
    if half == "select" and found.source.startswith("clampdown:"):
        found = found.half("select")
    return [_row(item.text, unsafe, found.name, item.cluster) for item in found.items]


def _of_table(table: Sequence[TableRow], file: Path, unsafe: bool) -> list[GateRow]:
    """The rows of a table of chats, or of the shipped items' layout, but those with the other label."""
    wanted = (None, "unsafe" if unsafe else "safe")
    name = file.name.partition(".")[0]
    kept = [replace(_read(row, name), unsafe=unsafe) for row in table if safety(row) in wanted]
    if not kept:
        raise ClampdownError(f"set {file} holds no {'unsafe' if unsafe else 'safe'} row; a file needs at least one")
    return kept


def _kind(name: str, unsafe: bool) -> str:
    """The kind to ask a set for: safe prompts may be of a set of look-alikes alone."""
    if unsafe:
        return "unsafe"
    if name == "built-in lookalike":
        return "lookalike"
    if not Path(name).expanduser().is_file() and name.partition("=")[0] in NAMED:
        kinds = split_name(name)[0].kinds
        return "lookalike" if "safe" not in kinds and "lookalike" in kinds else "safe"
    return "safe"


def read_gate_rows(file: Path) -> list[GateRow]:
    """The rows of a table with a `label`, and `text`, `prompt`, `messages` or `raw`; perhaps `kind` and `pair`.

    Raises:
        ClampdownError: it can't be read, or a row lacks what it needs.
    """
    rows, _ = read_rows(file, "safe")
    for row in rows:
        if safety(row) is None:
            raise ClampdownError(f"{row.where} has no label; write safe or unsafe")
    return [_read(row, file.name.partition(".")[0]) for row in rows]


def _read(row: TableRow, name: str) -> GateRow:
    cells = row.cells
    given = [key for key in ("messages", "prompt", "raw", "text") if cells.get(key) not in (None, "", [])]
    if len(given) != 1:
        raise ClampdownError(
            f"{row.where} needs one of messages, prompt, raw and text; it has {' and '.join(given) or 'none'}"
        )
    said = cells[given[0]]
    messages = _messages(said, row.where) if given[0] == "messages" else ((("user", said),))
    if given[0] != "messages" and (not isinstance(said, str) or not said.strip()):
        raise ClampdownError(f"{row.where} has no text in {given[0]!r}; write one, or take the row out")
    cluster = cells.get("pair") or cells.get("cluster") or _same(messages)
    kind = str(cells.get("kind") or name)
    return GateRow(messages, safety(row) == "unsafe", kind, str(cluster), raw=given[0] == "raw")


def _messages(said: Any, where: str) -> tuple[tuple[str, str], ...]:
    if isinstance(said, str):  # as tables hold it that are no JSON
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            said = None
    good = isinstance(said, list) and all(
        isinstance(turn, Mapping) and turn.get("role") in _ROLES and isinstance(turn.get("content"), str)
        for turn in said
    )
    if not good or not said or said[-1]["role"] != "user" or not said[-1]["content"].strip():
        raise ClampdownError(
            f"{where}: messages must be a list of turns with a role ({', '.join(_ROLES)}) and a content, the last of "
            "them a user's that says something"
        )
    return tuple((turn["role"], turn["content"]) for turn in said)


def _row(text: str, unsafe: bool, kind: str, cluster: str) -> GateRow:
    return GateRow((("user", text),), unsafe, kind, cluster)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _same(messages: Sequence[tuple[str, str]]) -> str:
    said = "\n".join(f"{role} {_plain(content)}" for role, content in messages)
    return "text:" + hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]
