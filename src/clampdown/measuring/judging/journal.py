"""The verdicts of a run that has not ended, kept on disk as they come: the same run goes on where it stopped."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.base import FAILED, Judge, Row, Verdict
from clampdown.measuring.judging.default.judge import Label
from clampdown.writing import json_text


class Journal:
    """One verdict a line, in a file beside `beside` whose name tells judge and rows apart from others.

    A row that the endpoint failed on is not kept: going on asks for it again.
    """

    def __init__(self, beside: Path, judge: Judge, rows: Sequence[Row]) -> None:
        what = json.dumps([judge.name, judge.version, rows])
        mark = hashlib.sha256(what.encode()).hexdigest()[:8]
        self.path = beside.with_name(f"{beside.stem}.unfinished-{mark}.jsonl")
        self.rows = rows
        self.known = dict(self._read())
        self.failed = 0
        self._file: IO[str] | None = None

    def judge(self, judge: Judge) -> Iterator[tuple[int, Verdict]]:
        """(place, verdict) of every row: those kept, and then those that the judge is still to give.

        Raises:
            ClampdownError: the judge's own; or a verdict can't be kept.
        """
        yield from sorted(self.known.items())
        left = [place for place in range(len(self.rows)) if place not in self.known]
        try:
            for at, verdict in judge.each([self.rows[place] for place in left]):
                self._keep(left[at], verdict)
                yield left[at], verdict
        finally:
            if self._file:
                self._file.close()
                self._file = None

    def remove(self) -> None:
        """The run has ended and what it found is written: nothing is left to go on with, unless rows failed."""
        if not self.failed:
            self.path.unlink(missing_ok=True)

    def _keep(self, place: int, verdict: Verdict) -> None:
        if verdict.why == FAILED:
            self.failed += 1
            return
        line = json_text({"row": place, **verdict._asdict()})
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8")
                line = "\n" + line  # a killed run may have left half a line
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise ClampdownError(f"could not write {self.path}: {error.strerror or error}") from error
        self.known[place] = verdict

    def _read(self) -> Iterator[tuple[int, Verdict]]:
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return
        for line in lines:
            try:
                body: dict[str, Any] = json.loads(line)
                place = body.pop("row")
                verdict = Verdict(**body)._replace(label=Label(body["label"]))
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                continue
            if type(place) is int and 0 <= place < len(self.rows):
                yield place, verdict
