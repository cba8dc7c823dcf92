"""Babble that complies in words is not what an attack is after."""

from dataclasses import replace

import pytest
from actors import GOAL

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.attacks.conversation import SteeredTarget, assistant, user
from clampdown.measuring.attacks.outcome import Outcome, Turn
from clampdown.measuring.attacks.surprising import judged_together, own_limit, without_babble
from clampdown.measuring.judging.default.judge import Label
from clampdown.measuring.judging.fluency import MARGIN, answer_surprise
from clampdown.recipe import Direction, Recipe

STEER = Recipe("r", "tiny", "", (Direction(1, 20.0, seed=1),))
CHATS = [[user("Hi")], [user("Hi"), assistant("Hello."), user("And then?")], [user("Say more")]]


def test_a_target_weighs_the_answers_that_comply(tiny, monkeypatch):
    labels = iter([Label.COMPLIANCE, Label.REFUSAL, Label.COMPLIANCE])
    monkeypatch.setattr("clampdown.measuring.judging.default.judge.judge", lambda *_, **__: next(labels))
    rows = [tiny.prompt_ids(chat) for chat in CHATS]
    said = generate(tiny, rows, [STEER] * 3, Sampling(6))
    wanted = answer_surprise(tiny, rows, [answer.ids for answer in said])
    replies = SteeredTarget(tiny, STEER, Sampling(6), weigh=True).reply(CHATS)
    assert replies[1].surprise is None
    assert [replies[0].surprise, replies[2].surprise] == pytest.approx([wanted[0], wanted[2]], rel=1e-4)
    plain = SteeredTarget(tiny, STEER, Sampling(6)).reply(CHATS)
    assert [reply._replace(surprise=None) for reply in replies] == plain


def test_a_chat_too_long_is_not_weighed(tiny):
    target = SteeredTarget(tiny, STEER, Sampling(6), weigh=True)
    assert target.reply([[user("word " * 600)]]) == [None]
    assert target.reply([]) == []


def turn(label, surprise=None):
    return Turn("p", "a", True, label, surprise=surprise)


def outcome(*turns, tries=False):
    return Outcome("a", GOAL, turns, 0 if tries else len(turns) - 1, tries=tries)


def test_only_surprising_compliance_is_babble():
    given = outcome(turn("compliance", 3.0), turn("refusal", 9.0), turn("compliance"), turn("compliance", 3.1))
    found = without_babble(given, 3.0)
    assert found.labels == ["compliance", "refusal", "compliance", "incoherent"]
    assert found.final_label == "incoherent" and replace(found, turns=given.turns) == given


def test_tries_end_on_one_that_still_complies():
    found = without_babble(outcome(turn("compliance", 9.0), turn("compliance", 1.0), tries=True), 3.0)
    assert (found.final, found.final_label) == (1, "compliance")


def test_the_unsteered_arm_sets_the_limit():
    own = [outcome(*[turn("compliance", 1.0)] * 25)] * 2
    steered = [outcome(turn("compliance", 1.0), turn("compliance", MARGIN + 0.01))]
    found, limit = judged_together({"none": own, "clamp": steered})
    assert limit == pytest.approx(MARGIN) and found["none"] == own
    assert found["clamp"][0].labels == ["compliance", "incoherent"]


def test_too_few_answers_set_none():
    arms = {"none": [outcome(*[turn("compliance", 1.0)] * 49)], "clamp": [outcome(turn("compliance", 99.0))]}
    assert own_limit(arms["none"]) is None
    assert judged_together(arms) == (arms, None)
