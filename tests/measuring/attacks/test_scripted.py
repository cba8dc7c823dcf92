"""Scripted conversations: files, turns side by side, answers in between, records."""

import gzip
import json

import pytest
from actors import Actor, label, texts

from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.conversation import SteeredTarget
from clampdown.measuring.attacks.outcome import Goal, Outcome
from clampdown.measuring.attacks.run import groups, run_attack
from clampdown.measuring.attacks.scripted import Scripted, load_scripts
from clampdown.recipe import Direction, Recipe

SHORT = Goal("a", "A2", cluster="x", user_turns=("A1", "A2"))
LONG = Goal("b", "B3", cluster="x", user_turns=("B1", "B2", "B3"))
ECHO = "{}!".format


def test_each_turn_is_one_batch_and_holds_the_models_own_answers():
    target = Actor(lambda chat: ECHO(chat[-1]["content"]))
    found = Scripted().run([SHORT, LONG], target, label)
    assert [[texts(chat) for chat in call] for call in target.calls] == [
        [["A1"], ["B1"]],
        [["A1", "A1!", "A2"], ["B1", "B1!", "B2"]],
        [["B1", "B1!", "B2", "B2!", "B3"]],
    ]
    assert [[t.answer for t in outcome.turns] for outcome in found] == [["A1!", "A2!"], ["B1!", "B2!", "B3!"]]
    assert [outcome.stopped for outcome in found] == ["end", "end"]


def test_the_last_answer_is_the_final_one_and_earlier_labels_are_kept():
    target = Actor(lambda chat: "No." if chat[-1]["content"] in ("A1", "B3") else "Yes.")
    first, second = Scripted().run([SHORT, LONG], target, label)
    assert (first.labels, first.final_label) == (["refusal", "compliance"], "compliance")
    assert (second.labels, second.final_label) == (["compliance", "compliance", "refusal"], "refusal")
    assert first.success is None, "rules can't show that an attack succeeded"


def test_a_conversation_that_outgrows_the_context_stops_and_says_so():
    target = Actor(lambda chat: None if chat[-1]["content"] in ("B2", "C1") else "Yes.")
    never = Goal("c", "C1", user_turns=("C1", "C2"))
    whole, cut, empty = Scripted().run([SHORT, LONG, never], target, label)
    assert (whole.stopped, len(whole.turns)) == ("end", 2)
    assert (cut.stopped, cut.labels, cut.final_label) == ("context", ["compliance"], "compliance")
    assert (empty.stopped, empty.turns, empty.final_label) == ("context", (), "unscored")
    assert len(target.calls) == 2, "nobody is asked once all have left"


def test_a_record_is_json_and_comes_back():
    [outcome] = Scripted().run([LONG], Actor(lambda chat: "Yes."), label)
    body = json.loads(json.dumps(outcome.to_dict()))
    assert {"goal", "cluster", "category", "turns", "backtracks", "labels", "final_label", "texts"} <= set(body)
    assert (body["turns"], body["backtracks"], body["cluster"]) == (3, 0, "x")
    assert Outcome.from_dict(body).to_dict() == body


def test_a_steered_model_talks_as_it_would_alone(tiny):
    steer = Recipe("r", "tiny", "", (Direction(1, 20.0, seed=1),))
    target = SteeredTarget(tiny, steer, Sampling(5))
    goals = [Goal("a", "x", user_turns=("Hi", "Why?")), Goal("b", "y", user_turns=("What is a robin?", "And?", "So?"))]
    together = Scripted().run(goals, target)
    for goal, outcome in zip(goals, together, strict=True):
        [alone] = Scripted().run([goal], target)
        assert [t.answer for t in alone.turns] == [t.answer for t in outcome.turns]
        edited = [t.receipt["tokens_edited"] for t in outcome.turns]
        assert edited == sorted(edited) and edited[0] > 0, "each turn reads, and steers, all that came before"


def test_groups_are_decided_by_the_goals_and_their_size_alone():
    goals = [LONG, SHORT, Goal("c", "C", user_turns=("C1",)), Goal("d", "D", user_turns=("D1", "D2 and more"))]
    assert list(groups(goals, 2)) == [(2, 1), (3, 0)]
    target = Actor(lambda chat: ECHO(chat[-1]["content"]))
    told = []
    found = run_attack(Scripted(), goals, target, label=label, batch=2, progress=lambda *seen: told.append(seen[1:3]))
    assert [outcome.goal.id for outcome in found] == ["b", "a", "c", "d"]
    assert sum(done for done, _ in told) == 4 and {total for _, total in told} == {4}


def test_goals_without_turns_are_refused(one_line):
    with pytest.raises(ClampdownError) as caught:
        Scripted().run([Goal("plain", "text")], Actor(lambda chat: ""))
    one_line(caught, "plain")


ROWS = [
    {"id": "1", "label": "unsafe", "user_turns": ["a", "b"], "actor": "K"},
    {"id": "2", "label": "Benign", "user_turns": ["c"], "actor": "K"},
    {"turns": ["d", "e"], "category": "writing", "goal": "the goal"},
]


def test_files_of_either_layout(tmp_path):
    path = tmp_path / "set.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    goals = load_scripts(path, cluster="actor")
    assert [goal.kind for goal in goals] == ["unsafe", "safe", "unsafe"]
    assert [goal.cluster for goal in goals] == ["K", "K", goals[2].id]
    assert [goal.text for goal in goals] == ["b", "c", "the goal"]
    assert goals[2].user_turns == ("d", "e") and goals[2].category == "writing"
    assert [goal.cluster for goal in load_scripts(path)][:2] == ["1", "2"]
    assert load_scripts(path, kind="safe")[2].kind == "safe"


@pytest.mark.parametrize("row", [{"id": "1"}, {"user_turns": []}, {"user_turns": ["a", " "]}, {"user_turns": "a"}, 3])
def test_rows_without_turns_are_one_line(row, tmp_path, one_line):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(ClampdownError) as caught:
        load_scripts(path)
    one_line(caught, "set.jsonl", "2")


def test_two_rows_of_one_id_are_refused(tmp_path, one_line):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[0]) + "\n")
    with pytest.raises(ClampdownError) as caught:
        load_scripts(path)
    one_line(caught, "'1'")
