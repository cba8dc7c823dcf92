"""What can't be honoured is refused, in OpenAI's form, and never served unsteered; recipes change within limits."""

import json
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from served import QUESTIONS, chat, listening, serving

from clampdown.recipe import Recipe

PUSH = {"kind": "direction", "layer": 1, "strength": 1, "seed": 1}


def refused(http, body, *words, status=400):
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and "\n" not in error["message"]
    for word in words:
        assert word in error["message"], error
    return error


def test_an_unknown_recipe_is_refused_and_an_unknown_model_not_found(http, client):
    import openai

    with pytest.raises(openai.BadRequestError, match="nothing is served unsteered"):
        client.chat.completions.create(**chat("tiny:nobody"))
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**chat("gpt-4"))
    for name in ("clamp", "tiny:", "tiny:clamp:clamp", ":clamp", ""):
        assert http.post("/v1/chat/completions", json=chat(name)).status_code in (400, 404), name
    assert client.models.retrieve("tiny:clamp").id == "tiny:clamp"
    assert [model.id for model in client.models.list()][:2] == ["tiny", "tiny:clamp"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"clampdwn": {"factor": 2}}, "clampdwn"),
        ({"clampdown": {"facter": 2}}, "facter"),
        ({"clampdown": {"factor": float("nan")}}, "factor"),
        ({"clampdown": {"factor": 1e9}}, "factor"),
        ({"clampdown": {"threshold": 1.0}}, "no gate"),
        ({"clampdown": {"spare": "code"}}, "spare"),
        ({"model": "tiny", "clampdown": {"spare": "tool-calls"}}, "unsteered"),
        ({"clampdown": {"window": "everywhere"}}, "window"),
        ({"clampdown": {"window": {"prompt": "none", "generated": "none"}}}, "window"),
        ({"clampdown": {"recipe": {}}}, "edit"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 17}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 65}, "max_tokens"),
        ({"max_tokens": None, "max_completion_tokens": 10**30}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": "a" * 257}, "stop"),
        ({"top_logprobs": 2}, "logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"stream_options": {"include_usage": True}}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "empty"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "content"),
        ({"messages": [{"role": "system", "content": "x"}]}, "user's turn"),
        ({"messages": [{"role": "user", "content": "word " * 400}]}, "tokens"),
    ],
)
def test_what_is_not_offered_is_told_and_not_ignored(more, word, http):
    body = json.dumps({**chat("tiny:clamp"), **more})
    answer = http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["error"]["message"]


def test_what_asks_for_nothing_is_let_pass(http):
    plain = {"user": "me", "metadata": {"a": "b"}, "logit_bias": {}, "presence_penalty": 0, "tools": [], "store": False}
    assert http.post("/v1/chat/completions", json=chat("tiny", **plain)).status_code == 200


def steered(http, model, said=QUESTIONS[1], **override):
    answer = http.post("/v1/chat/completions", json=chat(model, said, clampdown=override))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_request_changes_its_recipe(http, shelf):
    plain = http.post("/v1/chat/completions", json=chat("tiny:clamp", QUESTIONS[1])).json()
    doubled = steered(http, "tiny:clamp", factor=2.0)
    sae = shelf.recipes["clamp"].clamps[0]
    body = shelf.recipes["clamp"].to_dict()
    body["edits"][0]["latents"] = {"3": 12.0, "7": 8.0}
    assert doubled["clampdown"]["recipe_sha256"] == Recipe.from_dict(body).sha256 != plain["clampdown"]["recipe_sha256"]
    norms = [made["clampdown"]["receipts"][0]["relative_norm"] for made in (plain, doubled)]
    assert norms[1] > norms[0] > 0
    first = steered(http, "tiny:clamp", window="last+2")["clampdown"]["receipts"][0]
    assert first["tokens_edited"] == 3
    assert first == steered(http, "tiny:clamp", window={"prompt": "last", "generated": 2})["clampdown"]["receipts"][0]
    assert sae.values == {3: 6.0, 7: 4.0}  # the recipe itself is as it was


def test_a_request_may_have_tool_calls_spared_and_an_echo_may_not(http):
    plain, told = (steered(http, "tiny:clamp", **more) for more in ({}, {"spare": "tool-calls"}))
    assert told["clampdown"]["receipts"][0] == {**plain["clampdown"]["receipts"][0], "spared": 0}
    echo = {"model": "tiny:clamp", "prompt": "a b", "max_tokens": 0, "echo": True, "logprobs": 1}
    assert http.post("/v1/completions", json=echo | {"clampdown": {"spare": "tool-calls"}}).status_code == 400


def test_a_request_moves_the_gate(http):
    told = {said: steered(http, "tiny:gated", said)["clampdown"]["receipts"][0] for said in QUESTIONS}
    assert {receipt["gate"] for receipt in told.values()} == {"open", "shut"}
    for said, receipt in told.items():
        above, below = receipt["score"] + 0.5, receipt["score"] - 0.5
        assert steered(http, "tiny:gated", said, threshold=above)["clampdown"]["receipts"][0]["gate"] == "shut"
        assert steered(http, "tiny:gated", said, threshold=below)["clampdown"]["receipts"][0]["gate"] == "open"
    watched = steered(http, "tiny:gated", threshold=-1e6, decide="watch")["clampdown"]["receipts"][0]
    assert watched["gate"] == "open" and watched["tokens_edited"] == 0


def test_a_recipe_comes_with_the_request_of_what_is_loaded(http, shelf):
    clamp = {"kind": "clamp", "layer": 1, "sae": "sae.safetensors", "latents": {"5": 9.0}}
    gate = {"sha256": shelf.recipes["gated"].gate.sha256, "threshold": -1e6}
    recipe = {"edits": [clamp, {"kind": "direction", "layer": 2, "strength": 3.0, "seed": 4}], "gate": gate}
    made = steered(http, "tiny", recipe=recipe)["clampdown"]
    assert made["recipe"] == "inline" and made["receipts"][0]["tokens_edited"] > 0
    assert made["receipts"][0]["gate"] == "open" and made["receipts"][0]["path"] == "sliced+direction"
    by_hash = {**clamp, "sae": shelf.recipes["clamp"].clamps[0].sae_sha256 or next(h for _, h in shelf._saes.values())}
    assert steered(http, "tiny", recipe={"edits": [by_hash]})["clampdown"]["receipts"][0]["tokens_edited"] > 0


@pytest.mark.parametrize(
    ("recipe", "word"),
    [
        ({"edits": [{"kind": "clamp", "layer": 1, "sae": "/etc/passwd", "latents": {"5": 9.0}}]}, "no SAE"),
        ({"edits": [{"kind": "clamp", "layer": 1, "sae": "google/gemma-scope", "latents": {"5": 9.0}}]}, "no SAE"),
        ({"edits": [{"kind": "clamp", "layer": 1, "sae": "sae.safetensors", "latents": {"999999": 9.0}}]}, "999999"),
        ({"edits": [{"kind": "clamp", "layer": 3, "sae": "sae.safetensors", "latents": {"5": 9.0}}]}, "layer"),
        ({"edits": [{"kind": "direction", "layer": 99, "strength": 1, "seed": 1}]}, "99"),
        ({"edits": [PUSH] * 17}, "16"),
        ({"edits": [{"kind": "direction", "layer": 1, "strength": 1, "values": [1.0]}]}, "recipe inline"),
        ({"gate": {"file": "/etc/passwd", "sha256": "0" * 64}}, "sha256"),
        ({"gate": {"sha256": "0" * 64}}, "no gate"),
        ({"gate": {"external": "llama-guard"}}, "external"),
        ({"model": {"name": "other", "sha256": "f" * 64}, "edits": [PUSH]}, "other"),
        ({"edits": "all"}, "edits"),
        ({"edits": [7]}, "edit 1"),
        ({"unknown": 1}, "unknown"),
    ],
)  # fmt: skip
def test_no_path_is_followed_and_nothing_is_fetched(recipe, word, http):
    refused(http, chat("tiny", clampdown={"recipe": recipe}), word)


def test_a_gates_file_that_is_gone_is_told_without_where_it_lay(tiny, recipes, tmp_path, installed):
    import httpx

    from clampdown.serving.shelf import Shelf

    folder = tmp_path / "a folder" / "of mine"
    folder.mkdir(parents=True)
    gate = recipes["gated"].gate
    file = folder / "gate.safetensors"
    file.write_bytes(Path(gate.file).read_bytes())
    shelf = Shelf(tiny, "tiny", {"mine": replace(recipes["gated"], gate=replace(gate, file=str(file)))})
    with listening(serving(shelf)) as (url, _), httpx.Client(base_url=url, timeout=60) as http:
        assert http.post("/v1/chat/completions", json=chat("tiny:mine")).status_code == 200
        for spoil in (lambda: file.write_bytes(b"another"), file.unlink):
            spoil()
            for path, body in (
                ("/v1/chat/completions", chat("tiny:mine")),
                ("/v1/chat/completions", chat("tiny:mine", stream=True)),
                (
                    "/v1/chat/completions",
                    chat("tiny", clampdown={"recipe": {"edits": [PUSH], "gate": {"sha256": gate.sha256}}}),
                ),
                ("/v1/clampdown/activations", {"model": "tiny:mine", "text": "Hi"}),
            ):
                answer = http.post(path, json=body)
                assert answer.status_code == 400 and "gate.safetensors" in answer.text
                assert "mine" not in answer.text.replace("recipe mine", "").replace("tiny:mine", "")


def test_an_inline_recipe_is_tested_by_the_engines_own_thread(http, monkeypatch):
    from clampdown.serving import shelf

    tested, whole = [], shelf.self_test
    monkeypatch.setattr(
        shelf, "self_test", lambda *told: (tested.append(threading.current_thread().name), whole(*told))
    )
    steered(http, "tiny", recipe={"edits": [{**PUSH, "strength": 1.25}]})
    http.post("/v1/clampdown/activations", json={"model": "tiny:clamp", "text": "Hi", "clampdown": {"factor": 1.125}})
    assert tested == ["engine"] * 2


def test_what_overflows_is_an_error_and_no_answer(http):
    huge = {"edits": [{"kind": "direction", "layer": 1, "strength": 3e38, "values": [9.0] * 32}]}
    refused(http, chat("tiny", clampdown={"recipe": huge}))


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ('{"model": "tiny:clamp", "model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}', "twice"),
        ('{"model": "tiny", "messages": [{"role": "user", "content": "Hi", "content": "Ho"}]}', "twice"),
        ('{"model": "tiny:clamp", "clampdown": {"factor": 1, "factor": 0}, "messages": [{"role": "user"}]}', "twice"),
        ('{"model": "tiny", "n": ' + "9" * 5000 + "}", "JSON"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_body_that_can_be_read_in_two_ways_is_refused(body, word, http):
    for path in ("chat/completions", "completions", "clampdown/activations"):
        told = http.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        assert told.status_code == 400 and word in told.json()["error"]["message"], told.text


def test_hostile_bodies_are_refused_and_harm_nobody(http):
    draw = random.Random(0)
    good = json.dumps(chat("tiny:clamp", max_tokens=1))
    bodies = [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 5000,
    ]
    for _ in range(60):
        at = draw.randrange(len(good))
        bodies.append(
            (good[:at] + draw.choice(["", '"', "{", "\\", "-", "1e999", "\x00", "null,"]) + good[at + 1 :]).encode()
        )
    for path in ("/v1/chat/completions", "/v1/completions"):
        for body in bodies:
            answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (body[:80], answer.text)
    surrogate = b'{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800"}]}'
    answer = http.post("/v1/chat/completions", content=surrogate, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert http.post("/v1/chat/completions", json=chat("tiny")).status_code == 200
    for method, path in (
        ("POST", "/"),
        ("GET", "/v1/chat/completions"),
        ("DELETE", "/v1/models"),
        ("GET", "/v1/../etc/passwd"),
    ):
        answer = http.request(method, path)
        assert answer.status_code in (404, 405) and "error" in answer.json()
