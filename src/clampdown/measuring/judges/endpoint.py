"""Any OpenAI-compatible model as a judge, under one of the rubrics."""

from collections.abc import Sequence

from clampdown.measuring.endpoint import Endpoint, TooLong, at_a_time
from clampdown.measuring.judge import Label
from clampdown.measuring.judge_reading import said
from clampdown.measuring.judges.base import Judge, Row, Verdict
from clampdown.measuring.judges.rubrics import Rubric


class EndpointJudge(Judge):
    """Asks a chat model about each row, a few at once. Rows too long for its context are unscored; so is silence."""

    def __init__(
        self, name: str, endpoint: Endpoint, rubric: Rubric, *, at_once: int = 8, max_tokens: int = 1024
    ) -> None:
        self.name, self.endpoint, self.rubric = name, endpoint, rubric
        self.version = f"{endpoint.model}, {rubric.version}"
        self.at_once, self.max_tokens = at_once, max_tokens

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """Raises ClampdownError when the endpoint can't be reached or keeps failing."""
        return at_a_time(self._ask, rows, self.at_once)

    def _ask(self, row: Row) -> Verdict:
        if not said(row.completion):
            return Verdict(Label.UNSCORED)
        asked = [{"role": "user", "content": self.rubric.fill(row)}]
        try:
            reply = self.endpoint.chat(asked, temperature=0.0, max_tokens=self.max_tokens)
        except TooLong:
            return Verdict(Label.UNSCORED)
        # A judge that thinks aloud may name labels on the way.
        return self.rubric.parse(said(reply))
