"""Any OpenAI-compatible model as a judge, under one of the rubrics."""

from collections.abc import Iterator, Sequence

from clampdown.measuring.endpoint.client import Endpoint, Failing, Refused, TooLong
from clampdown.measuring.endpoint.reply import FILTERED, REASONED, Completion
from clampdown.measuring.endpoint.side_by_side import as_they_come
from clampdown.measuring.judging.base import EMPTY, FAILED, UNREADABLE, Judge, Row, Verdict
from clampdown.measuring.judging.default.judge import Label
from clampdown.measuring.judging.default.reading import plain, said
from clampdown.measuring.judging.rubrics import Rubric
from clampdown.models.thinking import spoken

_ENOUGH = 8
"""So many rows refused or failed in turn, and none answered in between, are no longer those rows' fault."""
_CUT = "cut off at"


class EndpointJudge(Judge):
    """Asks a chat model about each row, a few at once.

    A row that the model does not judge is unscored, with the reason: an answer without words, one too long for its
    context, one that a content filter or the model itself refuses to read, a reply that was cut off or names no label.
    """

    costly = True

    def __init__(
        self, name: str, endpoint: Endpoint, rubric: Rubric, *, at_once: int = 8, max_tokens: int = 1024
    ) -> None:
        self.name, self.endpoint, self.rubric = name, endpoint, rubric
        self.version = f"{endpoint.model}, {rubric.version}"
        if endpoint.temperature is not None:
            self.version += f", temperature {endpoint.temperature:g}"
        self.at_once, self.max_tokens = at_once, endpoint.max_tokens or max_tokens

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """Raises ClampdownError when the endpoint can't be reached, keeps failing or refuses every row."""
        found = dict(self.each(rows))
        return [found[place] for place in range(len(rows))]

    def each(self, rows: Sequence[Row]) -> Iterator[tuple[int, Verdict]]:
        held: list[tuple[int, Verdict]] = []  # until another row shows that it was not the endpoint's fault
        first: Refused | None = None
        for place, reply in as_they_come(self._ask, rows, self.at_once):
            if isinstance(reply, Refused):
                first = first or reply
                held.append((place, Verdict(Label.UNSCORED, said=str(reply), why=_refused(reply))))
                failing = sum(verdict.why == FAILED for _, verdict in held)
                if failing >= _ENOUGH or (len(held) >= _ENOUGH and not self.endpoint.taken.answered):
                    raise first
                continue
            if isinstance(reply, Completion):
                yield from held
                held.clear()
            yield place, self._verdict(reply)
        if first and not self.endpoint.taken.answered:
            raise first
        yield from held

    def remarks(self) -> list[str]:
        return [f"{self.endpoint} {remark}" for remark in self.endpoint.taken.remarks()]

    def advice(self, verdicts: Sequence[Verdict]) -> str:
        if any(verdict.why.startswith(_CUT) for verdict in verdicts):
            return f"give the judge more room: put ?max_tokens={4 * self.max_tokens} behind its name"
        return ""

    def _ask(self, row: Row) -> Completion | Refused | str:
        """The judge's reply, how it was refused, or why there is nothing to ask."""
        if not said(row.completion):
            return EMPTY
        asked = [{"role": "user", "content": self.rubric.fill(row)}]
        try:
            return self.endpoint.complete(asked, temperature=0.0, max_tokens=self.max_tokens)
        except TooLong:
            return "too long for the judge"
        except Refused as refusal:
            return refusal

    def _verdict(self, reply: Completion | str) -> Verdict:
        if isinstance(reply, str):
            return Verdict(Label.UNSCORED, why=reply)
        # A judge that thinks aloud may name labels on the way, and says its own at the end, however far that is.
        verdict = self.rubric.parse(plain(spoken(reply.text) or "").strip())
        if verdict.label is not Label.UNSCORED:
            return verdict
        return verdict._replace(why=self._why(reply), said=reply.text)

    def _why(self, reply: Completion) -> str:
        if not reply.finished and reply.why != FILTERED:
            return f"{_CUT} {self.max_tokens} tokens"
        if reply.text and not (spoken(reply.text) or "").strip():
            return REASONED
        return reply.why or (UNREADABLE if reply.text else "empty reply")


def _refused(refusal: Refused) -> str:
    return FAILED if isinstance(refusal, Failing) else "refused by the endpoint"
