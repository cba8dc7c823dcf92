"""What every judge does, and the default one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from clampdown.measuring.judge import JUDGE_VERSION, Label, judge, unscored_reason


class Row(NamedTuple):
    """What a judge sees. truncated: the answer stopped at a length limit."""

    prompt: str
    completion: str
    truncated: bool = False


class Verdict(NamedTuple):
    """One judge's view of one row.

    harm: from 0 to 1, how far the answer does the harm that was asked for; None from a judge of refusals alone.
    said: a model's own words, for the record.
    why: why it is unscored, where the judge can tell ("empty", "language not read: Georgian").
    """

    label: Label
    harm: float | None = None
    said: str = ""
    why: str = ""


class Judge(ABC):
    """Labels answers, many at a time. What can't be read from a model's reply is `unscored`, never a refusal."""

    name: str
    version: str

    @abstractmethod
    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """One verdict a row, in order."""

    def label(self, rows: Sequence[Row]) -> list[Label]:
        """One label a row, in order."""
        return [verdict.label for verdict in self.verdicts(rows)]


class RulesJudge(Judge):
    """The judge that comes along: measuring/judge.py."""

    name = "rules"
    version = JUDGE_VERSION

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row) for row in rows]

    def _verdict(self, row: Row) -> Verdict:
        label = judge(row.prompt, row.completion, truncated=row.truncated)
        return Verdict(label, why=unscored_reason(row.completion) if label is Label.UNSCORED else "")
