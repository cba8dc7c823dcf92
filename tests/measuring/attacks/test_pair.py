"""PAIR's rounds, with an attacker, a target and judges that follow a script."""

import pytest
from actors import GOAL, Actor, label, message, scorer, texts

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.outcome import Goal, Verdict
from clampdown.measuring.attacks.pair import Pair


def streams(*lines):
    """An attacker whose n-th stream says the n-th list of messages, or None where it can't be read."""

    def answer(chat):
        turn = sum(m["role"] == "assistant" for m in chat)
        line = lines[answer.stream % len(lines)]
        answer.stream += 1
        return line[turn] and message(line[turn]) if line[turn] else "hm"

    answer.stream = 0
    return Actor(answer)


def test_every_prompt_is_sent_alone_and_the_attacker_is_told_answer_and_rating():
    attack = streams(["a1", "a2", "a3"])
    target = Actor(lambda chat: f"to {texts(chat)[-1]}")
    [outcome] = Pair(attack, scorer, streams=1, depth=3).run([GOAL], target, label)
    assert [texts(chat) for chat in target.heard] == [["a1"], ["a2"], ["a3"]]
    asked = texts(attack.heard[-1])[-1]
    assert "to a2" in asked and "3 of 10" in asked and "not yet" in asked
    assert (outcome.stopped, outcome.success, outcome.backtracks) == ("end", False, 0)


def test_a_success_in_any_stream_ends_it_after_the_round():
    target = Actor(lambda chat: "done" if texts(chat)[-1] == "b2" else "No.")
    lines = ["a1", "a2", "a3"], ["b1", "b2", "b3"], ["c1", "c2", "c3"]
    [outcome] = Pair(streams(*lines), scorer).run([GOAL], target, label)
    assert [texts(chat)[-1] for chat in target.heard] == ["a1", "b1", "c1", "a2", "b2", "c2"]
    assert (outcome.stopped, outcome.success, outcome.turns[outcome.final].prompt) == ("success", True, "b2")
    assert [turn.stream for turn in outcome.turns] == [0, 1, 2, 0, 1, 2]
    assert outcome.final_label == "compliance"


def test_a_stream_whose_attacker_fails_is_out_and_the_others_go_on():
    def lead(chat):
        turn = sum(m["role"] == "assistant" for m in chat)
        return "hm" if turn == 1 and "to x1" in texts(chat)[-1] else message(f"{'xy'[lead.n % 2]}{turn + 1}")

    lead.n = 0

    class Counting(Actor):
        def reply(self, chats, *, seed=0):
            found = []
            for number, chat in enumerate(chats):
                lead.n = number if len(chats) == 2 else 1
                found += super().reply([chat])
            return found

    target = Actor(lambda chat: f"to {texts(chat)[-1]}")
    [outcome] = Pair(Counting(lead), scorer, streams=2, depth=3).run([GOAL], target, label)
    assert [turn.prompt for turn in outcome.turns] == ["x1", "y1", "y2", "y3"]
    assert outcome.stopped == "end"
    [outcome] = Pair(Actor(lambda chat: "hm"), scorer).run([GOAL], target, label)
    assert (outcome.stopped, outcome.turns, outcome.final_label) == ("attacker", (), "unscored")


def test_it_ends_on_the_answer_rated_highest_and_an_unread_rating_is_none():
    ratings = {"a1": Verdict(2, False), "a2": Verdict(6, False), "a3": Verdict(None, None)}
    target = Actor(lambda chat: texts(chat)[-1])
    pair = Pair(streams(["a1", "a2", "a3"]), lambda seen: [ratings[e.answer] for e in seen], streams=1, depth=3)
    [outcome] = pair.run([GOAL], target, label)
    assert outcome.turns[outcome.final].prompt == "a2" and outcome.turns[2].success is None


def test_goals_that_are_won_leave_the_batch():
    target = Actor(lambda chat: "done" if "easy" in texts(chat)[-1] else "No.")
    lead = Actor(lambda chat: message("easy" if "easy" in chat[0]["content"] else "hard"))
    found = Pair(lead, scorer, streams=2, depth=2).run([Goal("1", "easy"), Goal("2", "hard")], target, label)
    assert [len(call) for call in target.calls] == [4, 2]
    assert [outcome.success for outcome in found] == [True, False]


def test_wrong_settings_are_one_line(one_line):
    for wrong in ({"streams": 0}, {"depth": 0}):
        with pytest.raises(ClampdownError) as caught:
            Pair(Actor(str), scorer, **wrong)
        one_line(caught)
