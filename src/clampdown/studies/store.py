"""Where a study keeps what it has done: an SQLite database that survives being killed at any moment.

A batch is written with all its rows in one transaction, under the hash of everything that produced it, so a batch is
there whole or not at all.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.outcome import Outcome, judged_again
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, judge, loops
from clampdown.steering.receipt import Receipt
from clampdown.studies.damage import checked, parsed, require, told_as_damage
from clampdown.studies.decisions import of_receipt

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    key TEXT PRIMARY KEY, arm TEXT NOT NULL, number INTEGER NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS row (
    batch TEXT NOT NULL REFERENCES batch (key), item_set TEXT NOT NULL, place INTEGER NOT NULL, item TEXT NOT NULL,
    draw INTEGER NOT NULL, prompt TEXT NOT NULL, text TEXT, finished INTEGER, label TEXT, judge TEXT, receipt TEXT,
    scores TEXT, nats REAL, bytes INTEGER, surprise REAL, metrics TEXT, attack TEXT,
    looping INTEGER, gate TEXT,
    PRIMARY KEY (batch, item_set, place)
);
"""
EXPORT_SCHEMA = "clampdown-export/4"


@dataclass(frozen=True)
class Row:
    """What one item gave under one arm; the fields of other kinds of item are None.

    Attributes:
        place: the item's place in its set, from 0.
        draw: which of the arm's recipes it was answered under, from 0.
        prompt: what the model was asked; for lm-eval's tasks with their examples and the chat template.
        text, finished, label, judge, receipt: an answer, whether it ended by itself (None: lm-eval does not tell), its
            label and who gave it.
        scores: log-likelihood of each choice, nats a character (of lm-eval's tasks: nats).
        nats, bytes: a passage's negative log-likelihood and the bytes it covers.
        surprise: of an answer, under the unsteered model, in nats a token (see measuring.judging.fluency).
        metrics: by name, the headline first, of an item of lm-eval's or of a question that was answered in words.
        attack: a whole conversation or all tries, as `Outcome.to_dict` gives them.
        looping: of a judged answer, whether it says one thing over and over; of an attack, the answer that it ends on.
        gate: what the arm's gate said of the prompt, {"open", "score", "threshold"}, the numbers None where it was
            forced or decides outside. None where there is no gate; an attack's turns have it in their receipts.
    """

    place: int
    item: str
    draw: int
    prompt: str
    text: str | None = None
    finished: bool | None = None
    label: str | None = None
    judge: str | None = None
    receipt: dict[str, Any] | None = None
    scores: list[float] | None = None
    nats: float | None = None
    bytes: int | None = None
    surprise: float | None = None
    metrics: dict[str, float] | None = None
    attack: dict[str, Any] | None = None
    looping: bool | None = None
    gate: dict[str, bool | float | None] | None = None

    @property
    def decision(self) -> dict[str, bool | float | None] | None:
        """What the gate said: `gate`, and of an attack what it said before the answer that the attack ends on."""
        if not self.attack or not self.attack["texts"]:
            return self.gate
        return of_receipt(self.attack["texts"][self.attack["final"]]["receipt"])


class Finished(NamedTuple):
    """A batch that was run: its rows by the name of their set."""

    key: str
    arm: str
    number: int
    rows: Mapping[str, Sequence[Row]]


_COLUMNS = [f.name for f in fields(Row)]
_OLDER = "label IS NOT NULL AND (judge != ? OR looping IS NULL)"
_JUDGED = "label = ?, judge = ?, text = ?, finished = ?, attack = ?, looping = ?"


class Store:
    """A study's database. Use it as a context; it closes at the end.

    Raises:
        ClampdownError: from every method, with one line, when the disk is full or the file damaged or in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClampdownError(
                f"can't make folder {self.path.parent}: {error.strerror or error}; name another"
            ) from error
        with self._told():
            self._db = sqlite3.connect(self.path, isolation_level=None)
            try:
                # A rollback journal with full syncs: each commit is on the disk before the next batch starts.
                self._db.execute("PRAGMA journal_mode = DELETE")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_TABLES)
                self._add_columns()
            except sqlite3.Error:
                self._db.close()
                raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()

    def claim(self, identity: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Take the database for one study, or go on with it; each of `facts` is kept from its first time.

        Raises:
            ClampdownError: it holds a study whose identity differs.
        """
        text = json.dumps(identity, sort_keys=True)
        with self._transaction():
            held = self.meta("identity")
            if held is None:
                self._put("identity", text)
            if held in (None, identity):
                for key in facts.keys() - {key for (key,) in self._db.execute("SELECT key FROM meta")}:
                    self._put(key, json.dumps(facts[key]))
        if held is not None and held != identity:
            with told_as_damage(self.path, "its identity"):
                require(held, Mapping[str, Any], "identity")
            if unknown := [key for key in identity if key not in held]:
                raise ClampdownError(
                    f"{self.path} was made by an older Clampdown, which did not keep its {' and its '.join(unknown)}, "
                    f"so it can't go on; name another folder to ask anew (`clampdown report {self.path.parent}` still "
                    "writes its report)"
                )
            differ = [key for key in identity if held.get(key) != identity[key]]
            raise ClampdownError(
                f"{self.path} holds another study (another {', '.join(differ) or 'version'}); name another folder, "
                f"or delete it"
            )

    def meta(self, key: str) -> Any:
        """A kept fact, or None."""
        with self._told():
            found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        with told_as_damage(self.path, f"its {key}"):
            return None if found is None else parsed(found[0])

    def keep(self, key: str, value: Any) -> None:
        """Keep a fact, in place of any older one."""
        with self._transaction():
            self._put(key, json.dumps(value))

    def finished(self) -> set[str]:
        """The keys of the batches that are done."""
        with self._told():
            return {key for (key,) in self._db.execute("SELECT key FROM batch")}

    def add(self, key: str, arm: str, number: int, rows: Mapping[str, Sequence[Row]], seconds: float = 0.0) -> None:
        """Write one finished batch and its rows, by the name of their set: all or nothing."""
        self.add_all([Finished(key, arm, number, rows)], seconds)

    def add_all(self, batches: Sequence[Finished], seconds: float = 0.0) -> None:
        """Write batches that were run at once and took so long together: all of them or none."""
        marks = ", ".join("?" * (len(_COLUMNS) + 2))
        insert = f"INSERT OR REPLACE INTO row (batch, item_set, {', '.join(_COLUMNS)}) VALUES ({marks})"
        each = seconds / max(1, len(batches))
        packed = [[(b.key, name, *_packed(row)) for name, some in b.rows.items() for row in some] for b in batches]
        with self._transaction():
            for batch, values in zip(batches, packed, strict=True):
                about = (batch.key, batch.arm, batch.number, each)
                self._db.execute("INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?)", about)
                self._db.executemany(insert, values)

    def rows(self, arm: str, item_set: str) -> list[Row]:
        """The finished rows of an arm on a set, in the set's order; the samples of an item follow each other."""
        query = f"SELECT {', '.join('row.' + c for c in _COLUMNS)} FROM row JOIN batch ON row.batch = batch.key"
        with self._told():
            order = "WHERE arm = ? AND item_set = ? ORDER BY place, number"
            found = self._db.execute(f"{query} {order}", (arm, item_set)).fetchall()
        with told_as_damage(self.path, f"an answer of {arm} to {item_set}"):
            return [_unpacked(row) for row in found]

    def seconds(self) -> float:
        """Time spent on all finished batches, over every start of the study."""
        with self._told():
            told = self._db.execute("SELECT total(seconds) FROM batch").fetchone()[0]
        with told_as_damage(self.path, "its time"):
            require(told, float, "seconds")
            return float(told)

    def relabel(self) -> int:
        """Judge again the answers that an older judge labelled, or that nobody asked whether they loop; say how many.

        An answer is judged against its item's own text; a prompt of lm-eval's holds examples besides.
        """
        with self._transaction(), told_as_damage(self.path, "an answer"):
            query = "SELECT rowid, item_set, place, prompt, text, finished, attack FROM row"
            old = self._db.execute(f"{query} WHERE {_OLDER}", (JUDGE_VERSION,)).fetchall()
            asked = {s["name"]: [item["text"] for item in s["items"]] for s in (old and self.meta("sets")) or []}
            for number, item_set, place, prompt, text, finished, attack in old:
                question = asked[item_set][place] if item_set in asked else prompt
                require((question, text), tuple[str, ...], "the text")
                label, looping = str(judge(question, text, truncated=finished == 0)), loops(question, text)
                if attack is not None:
                    outcome = judged_again(Outcome.from_dict(parsed(attack)))
                    last = outcome.turns[outcome.final] if outcome.turns else None
                    label, looping = outcome.final_label, outcome.final_loops
                    attack = json.dumps(outcome.to_dict())
                    text, finished = (last.answer, last.finished) if last else (text, finished)
                values = (label, JUDGE_VERSION, text, finished, attack, looping, number)
                self._db.execute(f"UPDATE row SET {_JUDGED} WHERE rowid = ?", values)
        return len(old)

    def export(self) -> dict[str, Any]:
        """Everything but times and machines, in an order that interruptions do not change."""
        with self._told():
            found = self._db.execute("SELECT key, arm, number FROM batch ORDER BY key").fetchall()
        kept = self.meta("arms") or []
        with told_as_damage(self.path, "its batches"):
            arms = [arm["name"] for arm in kept]
            found.sort(key=lambda b: (arms.index(b[1]) if b[1] in arms else -1, *b[1:]))
        batches = []
        for key, arm, number in found:
            batches.append({"key": key, "arm": arm, "number": number, "rows": self._batch(key)})
        body = {"schema": EXPORT_SCHEMA, "identity": self.meta("identity"), "arms": self.meta("arms")}
        return body | {"batches": batches}

    def _batch(self, key: str) -> list[dict[str, Any]]:
        query = f"SELECT item_set, {', '.join(_COLUMNS)} FROM row WHERE batch = ? ORDER BY item_set, place"
        with self._told():
            found = self._db.execute(query, (key,)).fetchall()
        with told_as_damage(self.path, "an answer"):
            return [{"set": name, **asdict(_unpacked(row))} for name, *row in found]

    def _add_columns(self) -> None:
        """The columns that databases of an older Clampdown lack; `relabel` tells which answers loop."""
        there = {name for _, name, *_ in self._db.execute("PRAGMA table_info(row)")}
        for name, kind in (("looping", "INTEGER"), ("gate", "TEXT")):
            if name not in there:
                self._db.execute(f"ALTER TABLE row ADD COLUMN {name} {kind}")

    def _put(self, key: str, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, text))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as one line with a remedy."""
        try:
            yield
        except sqlite3.Error as error:
            said = str(error)
            if "full" in said or "disk I/O" in said:
                remedy = "free some space and start the study again: it goes on where it was"
            elif "locked" in said:
                remedy = "another study is writing to it; wait for that, or name another folder"
            elif "unable to open" in said or "readonly" in said:
                remedy = "check that its folder can be written to, or name another folder"
            else:
                remedy = "delete it to start the study anew, or name another folder"
            raise ClampdownError(f"study database {self.path}: {said}; {remedy}") from error


def export(path: Path) -> dict[str, Any]:
    """The export of a study's database file. Raises ClampdownError if there is none, or it is damaged."""
    if not Path(path).is_file():
        raise ClampdownError(f"no study database at {path}; name the study.sqlite of a study's folder")
    with Store(path) as store:
        return store.export()


def _packed(row: Row) -> list[Any]:
    values = []
    for value in vars(row).values():
        if isinstance(value, str):  # a tokenizer or a JSON file may hold lone surrogates, which UTF-8 has no form for
            value = value.encode("utf-8", "replace").decode()
        values.append(json.dumps(value) if isinstance(value, dict | list) else value)
    return values


def _unpacked(values: Sequence[Any]) -> Row:
    body = dict(zip(_COLUMNS, values, strict=True))
    for key in ("receipt", "scores", "metrics", "attack", "gate"):
        body[key] = body[key] and parsed(body[key])
    for key in ("finished", "looping"):
        body[key] = None if body[key] is None else bool(body[key])
    row = checked(Row(**body))
    if row.receipt is not None:
        checked(Receipt(**row.receipt))
    if row.attack is not None:
        _check_outcome(Outcome.from_dict(row.attack))
    return row


def _check_outcome(outcome: Outcome) -> None:
    for part in (outcome, outcome.goal, *outcome.turns):
        checked(part)
    for turn in outcome.turns:
        checked(Receipt(**turn.receipt or {}))
    if not -1 <= outcome.final < max(1, len(outcome.turns)):
        raise ValueError(f"an attack of {len(outcome.turns)} turns ends on number {outcome.final}")
