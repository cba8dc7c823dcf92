"""A gate that decides outside: the classifier is asked, each conversation once, and what can't be had fails closed."""

import json
from dataclasses import replace

import pytest

from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.conversation import SteeredTarget
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.measuring.judging.outside_gate import decides_outside, outside_gate
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.recipe import Direction, Gate, Recipe
from clampdown.studies.plan import Plan
from clampdown.studies.probes.attacks import attack_columns
from clampdown.studies.probes.letters import letter_column
from clampdown.studies.record import read_record
from clampdown.studies.run import study

PLAN = Plan(
    name="tiny", max_new_tokens=3, batch=8, factors=(1.0,), strengths=(1.0,),
    arms=("none", "clamp", "system-prompt", "fixed-refusal"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")


@pytest.fixture
def recipe(tiny):
    return Recipe("strong", "tiny", tiny.sha256, (Direction(1, 20.0, seed=1),), gate=Gate(external="a guard"))


@pytest.fixture
def guard(serve):
    """A classifier that calls harmful what has the word bad in it; and what it was asked."""

    def answer(body):
        said = body["messages"][-1]["content"].partition("<<<")[2].partition(">>>")[0]
        return {"content": f"HARMFUL: {'yes' if 'bad' in said else 'no'}"}

    return serve(answer)


def user(text):
    return [{"role": "user", "content": text}]


def test_each_conversation_is_asked_once(recipe, guard):
    gate = outside_gate(recipe, guard.url, "guard-7b")
    assert gate.decide([user("a bad one"), user("a good one"), user("a bad one")]) == [True, False, True]
    assert gate.decide([user("a good one"), [*user("a good one"), *user("now a bad one")]]) == [False, True]
    assert len(guard.requests) == 3 and {request.body["model"] for request in guard.requests} == {"guard-7b"}


def test_what_the_classifier_does_not_say_opens_the_gate(recipe, serve):
    unsure = serve(lambda body: {"content": "Who knows?"})
    assert outside_gate(recipe, unsure.url, None).decide([user("hello")]) == [True]


def test_a_classifier_that_cannot_be_asked_is_an_error(recipe, serve, one_line):
    broken = serve(lambda body: {"status": 401, "error": "no such key"})
    with pytest.raises(ClampdownError) as caught:
        outside_gate(recipe, broken.url, None).decide([user("hello")])
    one_line(caught, "401")


def test_who_decides_must_be_named(recipe, one_line):
    forced = recipe.deciding("open")
    assert not decides_outside(forced) and outside_gate(forced, None, None) is None
    for given, arguments, said in (
        (recipe, (None, None), "name who stands for its gate"),
        (recipe, (None, "guard"), "--gate-model needs --gate-endpoint"),
        (forced, ("http://localhost:1/v1", None), "decides outside"),
        (None, (None, "guard"), "decides outside"),
    ):
        with pytest.raises(ClampdownError) as caught:
            outside_gate(given, *arguments)
        one_line(caught, said)
    named = replace(recipe, gate=Gate(external="openai:guard@http://localhost:1/v1"))
    assert outside_gate(named, None, None).version.startswith("guard")


def test_every_turn_is_decided_anew_on_the_whole_conversation(tiny, recipe, guard):
    target = SteeredTarget(tiny, recipe, Sampling(3), outside=outside_gate(recipe, guard.url, None))
    first, second = target.reply([user("good"), user("bad")])
    assert (first.receipt["gate"], second.receipt["gate"]) == ("shut", "open")
    assert first.receipt["tokens_edited"] == 0 < second.receipt["tokens_edited"]
    longer = [*user("good"), {"role": "assistant", "content": "well"}, *user("now something bad")]
    assert target.reply([longer])[0].receipt["gate"] == "open"
    with pytest.raises(ClampdownError, match="decides outside"):
        SteeredTarget(tiny, recipe, Sampling(3)).reply([user("good")])


@pytest.fixture
def sets():
    def items(kind, *texts):
        return ItemSet(kind, kind, "here", kind, tuple(Item(t, t, "", t) for t in texts), "report")

    words = ("red", "blue")
    questions = tuple(
        Item(f"q{i}", f"Which {how} one?", "", f"q{i}", words, 0) for i, how in enumerate(("bad", "good"))
    )
    return [
        items("unsafe", "a bad one", "a worse one", "another bad one"),
        items("safe", "a good one", "something fine"),
        ItemSet("questions", "capability", "here", "q", questions),
        items("text", "A bad day for robins. " * 3, "A day for robins. " * 3),
    ]


def test_a_study_asks_it_of_every_prompt(tiny, recipe, guard, sets, tmp_path):
    turns = tmp_path / "turns.jsonl"
    turns.write_text(json.dumps({"id": "1", "prompt": "bad", "user_turns": ["Hello", "Now a bad thing"]}) + "\n")
    columns = attack_columns(AttackSpec("scripted", "turns", str(turns)))
    outside = outside_gate(recipe, guard.url, None)
    found = study(tiny, recipe, sets, PLAN, tmp_path / "study", columns=columns, outside=outside)
    record = read_record(tmp_path / "study")
    for arm in ("direction-1-gated", "fixed-refusal", "system-prompt-gated"):
        for item_set in sets:
            for row in record.rows.get((arm, item_set.name), ()):
                assert row.gate == {"open": "bad" in row.prompt, "score": None, "threshold": None}
        [attack] = record.rows[arm, "turns"]
        assert attack.attack["gates"] == ["shut", "open"] and attack.decision["open"]
    shares = {
        (arm["name"], m["kind"]): m["value"]
        for arm in found["arms"]
        for m in arm["measures"]
        if m["metric"] == "gate_open"
    }
    assert shares["direction-1-gated", "unsafe"] == pytest.approx(2 / 3) and shares["direction-1-gated", "safe"] == 0
    assert len({request.body["messages"][0]["content"] for request in guard.requests}) == len(guard.requests)


def test_a_study_that_could_not_ask_it_leaves_no_database(tiny, recipe, guard, sets, tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        study(tiny, recipe, sets, PLAN, tmp_path / "study")
    one_line(caught, "decides outside", "--gate-endpoint")
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"question": "Which?", "choices": ["a", "b"], "answer": 0}) + "\n")
    columns = [letter_column(f"letters:{questions}", PLAN)]
    with pytest.raises(ClampdownError) as caught:
        study(
            tiny, recipe, sets, PLAN, tmp_path / "study", columns=columns, outside=outside_gate(recipe, guard.url, None)
        )
    one_line(caught, "can't be asked of a gate that decides outside")
    assert not (tmp_path / "study").exists()


def test_another_classifier_makes_another_study(tiny, recipe, guard, sets, tmp_path):
    some = [replace(sets[0], items=sets[0].items[:1])]
    plan = replace(PLAN, arms=("none", "clamp"), gates=("recipe",))
    study(tiny, recipe, some, plan, tmp_path, outside=outside_gate(recipe, guard.url, "one"))
    with pytest.raises(ClampdownError, match="another study"):
        study(tiny, recipe, some, plan, tmp_path, outside=outside_gate(recipe, guard.url, "other"))
