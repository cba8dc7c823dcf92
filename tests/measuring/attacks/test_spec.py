"""Attacks as plain data."""

import json

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.crescendo import Crescendo
from clampdown.measuring.attacks.outcome import Exchange
from clampdown.measuring.attacks.pair import Pair
from clampdown.measuring.attacks.scoring import HarmScorer, ScaleScorer
from clampdown.measuring.attacks.scripted import Scripted
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.measuring.attacks.tries import Tries
from clampdown.measuring.judging.base import Judge, Row, Verdict
from clampdown.measuring.judging.default.judge import Label

CHAT = "openai:m@http://localhost:1/v1"


def test_specs_build_what_they_name(tmp_path):
    (tmp_path / "p.txt").write_text("for {{ objective }}")
    built = AttackSpec("crescendo", "mine", attacker=CHAT, attacker_prompt=str(tmp_path / "p.txt"), max_turns=3).build()
    assert isinstance(built, Crescendo) and (built.name, built.max_turns, built.scorer) == ("mine", 3, None)
    assert built.prompt == "for {{ objective }}" and built.attacker.temperature > 0
    built = AttackSpec("pair", attacker=CHAT, judge=CHAT, depth=2).build()
    assert isinstance(built, Pair) and built.depth == 2 and built.scorer.judge.temperature == 0
    assert isinstance(AttackSpec("scripted", goals="x").build(), Scripted)
    assert isinstance(AttackSpec("best-of-n", n=3).build(), Tries)


def test_goals_are_drawn_by_seed_and_kind(tmp_path):
    path = tmp_path / "turns.jsonl"
    rows = [{"id": str(i), "label": "benign" if i % 2 else "unsafe", "user_turns": ["a"]} for i in range(20)]
    path.write_text("\n".join(map(json.dumps, rows)))
    drawn = [AttackSpec("scripted", goals=str(path), limit=4, seed=seed).load_goals() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert sorted(goal.kind for goal in drawn[0]) == ["safe"] * 4 + ["unsafe"] * 4
    assert len(AttackSpec("scripted", goals=str(path)).load_goals()) == 20
    assert AttackSpec("past-tense", limit=5).load_goals()[0].kind == "unsafe", "the built-in set is the default"


def test_identity_tells_whatever_decides(tmp_path):
    path = tmp_path / "s.txt"
    path.write_text("!!")
    spec = AttackSpec("suffixes", suffixes=str(path), limit=3)
    goals = spec.load_goals()
    first = spec.identity(goals)
    json.dumps(first)
    assert spec.identity(goals) == first != spec.identity(goals[:2])
    path.write_text("??")
    assert spec.identity(goals) != first


class Told(Judge):
    """Gives the verdicts it was made with."""

    name, version = "told", "1"

    def __init__(self, *verdicts):
        self.told = list(verdicts)

    def verdicts(self, rows):
        self.rows = list(rows)
        return self.told


def test_a_published_judges_own_verdict_decides():
    judge = Told(
        Verdict(Label.COMPLIANCE, 1.0, "yes"),
        Verdict(Label.REFUSAL, 0.0),
        Verdict(Label.COMPLIANCE, 0.5),
        Verdict(Label.COMPLIANCE, 0.25),
        Verdict(Label.REFUSAL, None),
        Verdict(Label.COMPLIANCE, None),
        Verdict(Label.UNSCORED, None, "?"),
    )
    told = HarmScorer(judge)([Exchange("the goal", "in disguise", str(i), i != 1) for i in range(7)])
    assert [verdict.success for verdict in told] == [True, False, True, False, False, None, None]
    assert [verdict.score for verdict in told] == [10, 1, 5.5, 3.25, 1, None, None]
    assert (told[0].why, told[6].why) == ("yes", "?")
    assert judge.rows[:2] == [Row("the goal", "0", False), Row("the goal", "1", True)], "it sees the goal, as asked"


def test_judges_by_name(tmp_path, monkeypatch):
    (tmp_path / "wildguard").mkdir()
    (tmp_path / "wildguard/__init__.py").touch()
    (tmp_path / "wildguard/utils.py").write_text('WILDGUARD_INPUT_FORMAT = """{prompt} {response}"""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = AttackSpec("best-of-n", judge="wildguard:/weights")
    scorer = spec.build().scorer
    assert isinstance(scorer, HarmScorer) and scorer.judge.model == "/weights"
    told = spec.identity([])
    assert told["judge"] == "wildguard:/weights" and "/weights" in told["judge version"]
    own = AttackSpec("best-of-n", judge=CHAT)
    assert isinstance(own.build().scorer, ScaleScorer) and "judge version" not in own.identity([])


def test_the_built_in_goals_by_their_name():
    assert AttackSpec("best-of-n", goals="built-in unsafe") == AttackSpec("best-of-n")


@pytest.mark.parametrize(
    "body, word",
    [
        ({}, "kind"),
        ({"kind": "magic"}, "magic"),
        ({"kind": "scripted"}, "goals"),
        ({"kind": "crescendo"}, "attacker"),
        ({"kind": "pair", "attacker": CHAT}, "judge"),
        ({"kind": "scripted"}, "name a file of conversations"),
        ({"kind": "suffixes"}, "name a file"),
        ({"kind": "crescendo"}, "openai:MODEL@URL"),
        ({"kind": "crescendo", "attacker": "openai:"}, "openai"),
        ({"kind": "best-of-n", "judge": "rules"}, "rules tells refusals, not harm"),
        ({"kind": "best-of-n", "judge": f"xstest:{CHAT[7:]}"}, "xstest tells refusals, not harm"),
        ({"kind": "best-of-n", "judge": "strongreject"}, "strongreject:MODEL@URL"),
        ({"kind": "scripted", "goals": "built-in unsafe"}, "not conversations"),
        ({"kind": "best-of-n", "n": True}, "n must be a whole number"),
        ({"kind": "best-of-n", "goals": 3}, "goals must be a text"),
        ({"kind": "best-of-n", "size": 3}, "size"),
    ],
    ids=str,
)
def test_wrong_specs_are_one_line(body, word, one_line):
    with pytest.raises(ClampdownError) as caught:
        AttackSpec.from_dict(body)
    one_line(caught, word)
    assert AttackSpec.from_dict({"kind": "best-of-n", "n": 3}) == AttackSpec("best-of-n", n=3)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [("best-of-n", "max_turns", 3), ("crescendo", "streams", 2), ("templates", "n", 5), ("past-tense", "cluster", "c")],
)
def test_a_table_with_an_option_that_its_attack_does_not_take_is_refused(kind, key, value):
    with pytest.raises(ClampdownError, match=f"{kind} takes no {key}"):
        AttackSpec.from_dict({"kind": kind, "attacker": "openai:m@http://x/v1", key: value} if kind == "crescendo" else
                             {"kind": kind, key: value})  # fmt: skip
