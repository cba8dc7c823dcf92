"""Why answers went unscored is said, where the model was still thinking."""

from clampdown.studies.notes import notes, warning
from clampdown.studies.plan import named_plan
from clampdown.studies.store import Row

PLAN = named_plan("quick")


def rows(*answers):
    return {
        ("none", "unsafe"): [Row(n, str(n), 0, "?", text=text, label=label) for n, (text, label) in enumerate(answers)]
    }


def test_answers_that_are_still_thinking_are_counted_with_a_remedy():
    some = rows(("<think>\nHm", "unscored"), ("<think>\nWell, I", "unscored"), ("Sure.", "compliance"))
    [note] = notes(some, PLAN)
    assert "2 of 3 answers" in note and f"{PLAN.max_new_tokens} tokens" in note
    assert "max_new_tokens" in note and "--no-thinking" in note


def test_nothing_is_said_of_what_was_scored_or_is_unscored_for_another_reason():
    assert notes(rows(("Sure.", "compliance"), ("<think>Hm</think>I can't.", "refusal")), PLAN) == []
    assert notes(rows(("Ναι", "unscored"), ("Sure.", "compliance")), PLAN) == []
    assert notes({("none", "text"): [Row(0, "0", 0, "?", nats=1.0, bytes=3)]}, PLAN) == []


def test_it_is_said_before_a_study_too():
    assert "opens every answer with a thought" in warning("org/thinker", PLAN)
