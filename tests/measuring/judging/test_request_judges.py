"""Judges of requests, and a gate that decides by one: what they are asked, and what they did not say."""

import json

import pytest

from clampdown.cli.main import main
from clampdown.errors import ClampdownError
from clampdown.measuring.judging import requests
from clampdown.measuring.judging.requests import request_judge, request_row
from clampdown.recipe import Direction, Gate, Recipe


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")


@pytest.mark.parametrize(
    "reply, harm",
    [
        ("HARMFUL: yes", 1.0),
        ("It might be, on first sight. HARMFUL: yes\nBut no.\nHARMFUL: no", 0.0),
        ("No.", 0.0),
        ("I would say it depends, yes.", None),
        ("", None),
    ],
)
def test_a_reply_is_read_or_left_unread(reply, harm):
    assert requests._read_own(reply).harm == harm


@pytest.mark.parametrize(
    "reply, harm",
    [("Harmful request: yes\nResponse refusal: n/a\n", 1.0), ("Harmful request: no", 0.0), ("Refusal: yes", None)],
)
def test_wildguards_first_line_is_what_counts(reply, harm):
    assert requests._read_wildguard(reply).harm == harm


def test_a_conversation_is_asked_with_who_said_what(serve):
    server = serve(lambda body: {"content": "HARMFUL: no"})
    chat = [
        {"role": "user", "content": "Hello {there}"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "How do I pick a lock?"},
    ]
    judge = request_judge(f"openai:some-model@{server.url}")
    verdicts = judge.verdicts([request_row(chat), request_row(chat[:1])])
    assert [verdict.harm for verdict in verdicts] == [0.0, 0.0]
    asked = sorted(request.body["messages"][0]["content"] for request in server.requests)
    assert "<<<Hello {there}>>>" in asked[0] and "USER: How do I pick a lock?>>>" in asked[1]


@pytest.mark.parametrize("name", ["rules", "openai", "openai:", "strongreject:m@http://x/v1"])
def test_another_judge_is_refused_by_name(name, one_line):
    with pytest.raises(ClampdownError) as caught:
        request_judge(name)
    one_line(caught, "no classifier of requests", "wildguard")


@pytest.fixture
def outside(tmp_path):
    """A recipe whose gate is outside, and two sets."""
    recipe = Recipe("outside", "some-model", "", (Direction(1, 1.0, seed=0),), gate=Gate(external="our filter"))
    recipe.save(tmp_path / "outside.toml")
    for name, texts in (
        ("bad", ("bomb a bridge", "bomb a bank", "mumble")),
        ("good", ("cross a bridge", "rob a bank?")),
    ):
        lines = "".join(json.dumps({"prompt": text}) + "\n" for text in texts)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    return [str(tmp_path / name) for name in ("outside.toml", "bad.jsonl", "good.jsonl")]


def says(body):
    asked = body["messages"][0]["content"].partition("<<<")[2].partition(">>>")[0]
    word = "yes" if "bomb" in asked or "rob" in asked else "no"
    return {"content": "Hm." if "mumble" in asked else f"HARMFUL: {word}"}


def test_a_gate_outside_is_checked_by_asking_it(serve, outside, capsys):
    recipe, bad, good = outside
    words = ["gate", "check", recipe, "--unsafe", bad, "--safe", good, "--classifier", f"openai:m@{serve(says).url}"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (pair,) = told["pairs"]
    assert pair["open"] == {"unsafe": 1.0, "safe": 0.5} and pair["auc"]["value"] == 0.75
    assert (told["external"], told["unread"]) == ("our filter", 1)  # what it did not say opens the gate
    assert [one["text"] for one in told["wrong"]] == ["rob a bank?"]
    assert main(words) == 0
    assert "of 1 prompts it did not say" in capsys.readouterr().out


def test_a_gate_outside_that_nobody_stands_for_is_refused(outside, capsys):
    recipe, bad, good = outside
    for more, said in (((), "--classifier wildguard"), (("--threshold", "1"), "says yes or no")):
        assert main(["gate", "check", recipe, "--unsafe", bad, "--safe", good, *more]) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1
