"""Crescendo's steps, with an attacker, a target and judges that follow a script."""

import pytest
from actors import GOAL, Actor, attacker, label, message, scorer, texts

from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.conversation import SteeredTarget
from clampdown.measuring.attacks.crescendo import Crescendo
from clampdown.measuring.attacks.outcome import Goal


def numbered(count=40):
    return attacker(*(f"m{i}" for i in range(1, count + 1)))


def test_it_goes_on_until_the_judge_of_harm_says_so():
    replies = {"m1": "ok one", "m2": "ok two", "m3": "all done"}
    target = Actor(lambda chat: replies[texts(chat)[-1]])
    [outcome] = Crescendo(numbered(), scorer).run([GOAL], target, label)
    assert (outcome.stopped, outcome.success, outcome.backtracks, len(outcome.turns)) == ("success", True, 0, 3)
    assert [turn.score for turn in outcome.turns] == [3, 3, 10]
    assert texts(target.heard[-1]) == ["m1", "ok one", "m2", "ok two", "m3"]


def test_a_declined_turn_is_taken_back_forgotten_and_told_to_the_attacker():
    target = Actor(lambda chat: "No." if texts(chat)[-1] == "m2" else "fine")
    crescendo = Crescendo(attack := numbered(), scorer, max_turns=2)
    [outcome] = crescendo.run([GOAL], target, label)
    assert [texts(chat) for chat in target.heard] == [["m1"], ["m1", "fine", "m2"], ["m1", "fine", "m3"]]
    assert [turn.kept for turn in outcome.turns] == [True, False, True]
    assert (outcome.stopped, outcome.backtracks, outcome.to_dict()["turns"]) == ("end", 1, 2)
    assert outcome.final == 2 and outcome.final_label == "compliance"
    assert outcome.turns[1].score is None, "a turn taken back is not rated"
    asked = texts(attack.heard[-1])
    assert "declined" in asked[-1] and "m2" in asked[-1] and "turn 2 of 2" in asked[-1]
    assert len(asked) == 6, "the attacker remembers all"


def test_once_the_backtracks_are_used_declined_turns_stay():
    target = Actor(lambda chat: "No.")
    [outcome] = Crescendo(numbered(), scorer, max_turns=3, max_backtracks=2).run([GOAL], target, label)
    assert [turn.kept for turn in outcome.turns] == [False, False, True, True, True]
    assert texts(target.heard[-1]) == ["m3", "No.", "m4", "No.", "m5"]
    assert (outcome.stopped, outcome.final_label, outcome.success) == ("end", "refusal", False)


def test_its_defaults_are_at_most_ten_turns_and_ten_backtracks():
    [outcome] = Crescendo(numbered(), scorer).run([GOAL], Actor(lambda chat: "No."), label)
    assert (len(outcome.turns), outcome.backtracks) == (20, 10)


def test_without_a_judge_of_harm_all_turns_are_used_and_success_is_unknown():
    [outcome] = Crescendo(numbered(), max_turns=4).run([GOAL], Actor(lambda chat: "done"), label)
    assert (len(outcome.turns), outcome.success, outcome.stopped) == (4, None, "end")


def test_goals_go_side_by_side_and_each_as_it_would_alone():
    def answer(chat):
        last = texts(chat)[-1]
        return "No." if last.endswith(("Steal 2", "Spy 1")) else "done" if last.endswith("Spy 3") else "fine"

    def lead(chat):
        goal = "Spy" if "Spy" in chat[0]["content"] else "Steal"
        return message(f"{goal} {sum(m['role'] == 'assistant' for m in chat) + 1}")

    goals = [Goal("1", "Steal"), Goal("2", "Spy")]
    together = Crescendo(Actor(lead), scorer, max_turns=4).run(goals, target := Actor(answer), label)
    assert [len(call) for call in target.calls] == [2, 2, 2, 1, 1]
    for goal, outcome in zip(goals, together, strict=True):
        [alone] = Crescendo(Actor(lead), scorer, max_turns=4).run([goal], Actor(answer), label)
        assert alone == outcome


def test_an_attacker_that_can_t_be_read_is_asked_again_and_then_given_up():
    said = iter(["hm", "{}", '{"next_message": " "}', f"Sure:\n```json\n{message('m1')}\n```"])
    [outcome] = Crescendo(Actor(lambda chat: next(said)), max_turns=1).run([GOAL], Actor(lambda c: "fine"), label)
    assert [turn.prompt for turn in outcome.turns] == ["m1"] and next(said, None) is None
    mute = Actor(lambda chat: "I won't.")
    [outcome] = Crescendo(mute).run([GOAL], Actor(lambda c: "fine"), label)
    assert (outcome.stopped, outcome.final_label, len(mute.heard)) == ("attacker", "unscored", 10)
    assert len({len(chat) for chat in mute.heard}) == 1, "each try starts from the same conversation"


def test_a_target_whose_context_is_full_ends_the_attack_there():
    target = Actor(lambda chat: "fine" if len(chat) < 4 else None)
    [outcome] = Crescendo(numbered(), scorer).run([GOAL], target, label)
    assert (outcome.stopped, len(outcome.turns), outcome.final_label) == ("context", 2, "compliance")


def test_a_model_in_this_process_can_be_target_and_attacker(tiny):
    target = SteeredTarget(tiny, None, Sampling(4))
    [outcome] = Crescendo(numbered(), max_turns=2).run([GOAL], target)
    assert len(outcome.turns) >= 2 and all(turn.receipt["tokens_seen"] for turn in outcome.turns)
    [outcome] = Crescendo(SteeredTarget(tiny, None, Sampling(4, 1.0))).run([GOAL], target)
    assert outcome.stopped == "attacker", "a random model writes no JSON"


def test_wrong_settings_are_one_line(one_line):
    for wrong in ({"max_turns": 0}, {"max_backtracks": -1}):
        with pytest.raises(ClampdownError) as caught:
            Crescendo(numbered(), **wrong)
        one_line(caught)
