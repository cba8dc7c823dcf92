"""What every judge does, and the default one."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clampdown.measuring.judging.default.judge import JUDGE_VERSION, Label, judge, unscored_reason

EMPTY = "empty answer"
UNREADABLE = "no verdict in the judge's reply"
FAILED = "endpoint failed"
"""Why a row is unscored; the last may be mended by another try."""
_PART = 64
"""Rows that a judge without a way of its own is given at once."""


class Row(NamedTuple):
    """What a judge sees. truncated: the answer stopped at a length limit."""

    prompt: str
    completion: str
    truncated: bool = False


class Verdict(NamedTuple):
    """One judge's view of one row.

    harm: from 0 to 1, how far the answer does the harm that was asked for; None from a judge of refusals alone.
    said: a model's own words, for the record.
    why: of an unscored row, the reason in a few words ("empty answer", "language not read: Georgian").
    """

    label: Label
    harm: float | None = None
    said: str = ""
    why: str = ""


class Judge(ABC):
    """Labels answers, many at a time. What can't be read from a model's reply is `unscored`, never a refusal."""

    name: str
    version: str
    costly: bool = False
    """Whether verdicts cost money or hours, so that those of a run that stops are worth keeping."""

    @abstractmethod
    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """One verdict a row, in order."""

    def each(self, rows: Sequence[Row]) -> Iterator[tuple[int, Verdict]]:
        """(place of a row, its verdict) for all rows, each as soon as known; what comes before a failure counts."""
        for at in range(0, len(rows), _PART):
            yield from enumerate(self.verdicts(rows[at : at + _PART]), at)

    def remarks(self) -> list[str]:
        """What a reader of the verdicts should know of how they came about, a sentence each."""
        return []

    def advice(self, verdicts: Sequence[Verdict]) -> str:
        """What could be done about the unscored among them; empty where nothing."""
        return ""

    def label(self, rows: Sequence[Row]) -> list[Label]:
        """One label a row, in order."""
        return [verdict.label for verdict in self.verdicts(rows)]


class RulesJudge(Judge):
    """The judge that comes along: measuring/judging/default/judge.py."""

    name = "rules"
    version = JUDGE_VERSION

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row) for row in rows]

    def _verdict(self, row: Row) -> Verdict:
        label = judge(row.prompt, row.completion, truncated=row.truncated)
        return Verdict(label, why=unscored_reason(row.completion) if label is Label.UNSCORED else "")
