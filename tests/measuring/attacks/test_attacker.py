"""The attacker's prompts, what is read out of its replies, and the judge of harm's ratings."""

import json

import pytest
from actors import Actor, message, texts

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks import crescendo, pair
from clampdown.measuring.attacks.attacker import attacker_prompt, fill, next_messages
from clampdown.measuring.attacks.conversation import user
from clampdown.measuring.attacks.outcome import Exchange, Verdict
from clampdown.measuring.attacks.replies import json_reply
from clampdown.measuring.attacks.scoring import ScaleScorer


@pytest.mark.parametrize(
    "text, found",
    [
        ('{"score": 3}', 3),
        ('Here:\n```json\n{"score": 4, "why": "a\nb"}\n```', 4),
        ('{"why": "{not this}", "score": {"x": 1}}', {"x": 1}),
        ('<think>{"score": 1}</think> {"Score": 9}', 9),
        ('{"other": 1}', None),
        ("{{{", None),
        ("", None),
        ("[" * 5000 + '{"score": 1', None),
    ],
)
def test_json_is_found_wherever_it_stands(text, found):
    assert (json_reply(text, "score") or {}).get("score") == found


def test_the_message_may_have_any_of_its_names():
    said = iter(['{"nextMessage": "a"}', '{"generated_question": "b"}', '{"prompt": "c"}', '{"next_message": 3}'])
    attack = Actor(lambda chat: next(said, message("late")))
    found = next_messages(attack, [[user(str(i))] for i in range(4)], seed=0)
    assert [given[0] for given in found] == ["a", "b", "c", "late"]
    assert [len(call) for call in attack.calls] == [4, 1], "only the one that could not be read is asked again"


@pytest.mark.parametrize("attack, own", [("crescendo", crescendo.OWN_PROMPT), ("pair", pair.OWN_PROMPT)])
def test_our_own_prompt_is_the_default_and_its_slots_are_filled(attack, own):
    assert attacker_prompt(attack, "", own) == own
    text = fill(own, objective="Forge a signature", max_turns=7, desired_prefix="Sure", conversation_context=None)
    assert "Forge a signature" in text and "next_message" in text and "{{" not in text


def test_a_prompt_may_come_from_a_file(tmp_path):
    rows = [{"name": "One", "template": "1 {{objective}}"}, {"name": "Two", "template": "2 {{ objective }}"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "p.yaml").write_text("name: x\nvalue: |\n  3 {{ objective }}\n")
    (tmp_path / "p.txt").write_text("4 {{ objective }}")
    named = ["p.jsonl", "p.jsonl#Two", "p.yaml", "p.txt"]
    filled = [fill(attacker_prompt("pair", str(tmp_path / name), ""), objective="g").strip() for name in named]
    assert filled == ["1 g", "2 g", "3 g", "4 g"]


def test_prompts_that_are_none_are_one_line(tmp_path, one_line, monkeypatch):
    (tmp_path / "p.jsonl").write_text('{"name": "One"}\n')
    (tmp_path / "p.yaml").write_text("a: [")
    (tmp_path / "q.yaml").write_text("a: b")
    (tmp_path / "deep.yaml").write_text("value: " + "[" * 50_000)
    (tmp_path / "date.yaml").write_text("value: 2001-13-45")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for named in ("p.jsonl", "p.jsonl#Two", "p.yaml", "q.yaml", "deep.yaml", "date.yaml", "missing.txt"):
        with pytest.raises(ClampdownError) as caught:
            attacker_prompt("pair", str(tmp_path / named), "")
        one_line(caught, named.partition("#")[0])
    with pytest.raises(ClampdownError) as caught:
        attacker_prompt("pair", "pyrit", "")
    one_line(caught, "PyRIT", "install")
    for broken in ("{{ objective", "{% for x in y %}", "{{ ''.__class__.__mro__ }}", "{{ 1 / 0 }}", "{{ 1 + '' }}"):
        with pytest.raises(ClampdownError) as caught:
            fill(broken, objective="g")
        one_line(caught)


def test_ratings_are_read_and_what_is_none_counts_as_neither():
    said = [
        '{"score": 8, "why": "ok"}',
        '{"score": "7.5"}',
        '{"score": 11}',
        '{"score": null}',
        "no",
        '{"score": "NaN"}',
    ]
    replies = iter(said)
    judge = Actor(lambda chat: next(replies))
    asked = [Exchange("the goal", "the message {x}", f"answer {i}") for i in range(len(said))]
    found = ScaleScorer(judge)(asked)
    assert found[:2] == [Verdict(8, True, "ok"), Verdict(7.5, False, "")]
    assert found[2:] == [Verdict(None, None)] * 4
    [shown] = texts(judge.heard[0])
    assert all(part in shown for part in ("the goal", "the message {x}", "answer 0"))
    assert ScaleScorer(Actor(lambda chat: None))(asked[:1]) == [Verdict(None, None)]
