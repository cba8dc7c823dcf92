"""What one has to know before one reads a study's figures: why answers were not scored."""

from clampdown.models.thinking import spoken
from clampdown.studies.measures import Rows
from clampdown.studies.plan import Plan

_MANY = 0.05
"""The share of answers from which on it is said."""
_REMEDY = "Give answers more tokens (max_new_tokens in a study file), or leave thoughts out with --no-thinking."


def notes(rows: Rows, plan: Plan) -> list[str]:
    """Sentences; none where nearly all answers could be scored, or it is not known why they couldn't."""
    judged = [row for some in rows.values() for row in some if row.label is not None and row.text is not None]
    thinking = sum(row.label == "unscored" and spoken(row.text or "") is None for row in judged)
    if thinking <= _MANY * len(judged):
        return []
    return [
        f"{thinking} of {len(judged)} answers are unscored because they were still thinking after "
        f"{plan.max_new_tokens} tokens: nothing was said yet. {_REMEDY}"
    ]


def warning(name: str, plan: Plan) -> str:
    """What to say before a study of a model whose template opens every answer with a thought."""
    return (
        f"{name}'s chat template opens every answer with a thought, and what is still thinking after "
        f"{plan.max_new_tokens} tokens stays unscored. {_REMEDY}"
    )
