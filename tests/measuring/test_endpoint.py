"""The endpoint against a real server on this machine, which answers from a script."""

import json
import socket

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.endpoint import Completion, Endpoint, TooLong

HELLO = [{"role": "user", "content": "Hello"}]


def fast(server, **changes):
    return Endpoint("m", server.url, **({"backoff": 0.001, "timeout": 5.0} | changes))


def test_it_asks_as_openai_does_and_reads_the_answer(serve):
    server = serve([{"content": "Hi there"}])
    said = fast(server, key="secret").complete(HELLO, temperature=0.5, max_tokens=7, seed=3)
    assert said == Completion("Hi there", True)
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.body == {"model": "m", "messages": HELLO, "max_tokens": 7, "temperature": 0.5, "seed": 3}


def test_what_is_none_is_left_to_the_server_and_no_key_is_no_header(serve):
    server = serve([{"content": "ok"}])
    assert fast(server).chat(HELLO, temperature=None) == "ok"
    assert not {"temperature", "seed"} & set(server.requests[0].body)
    assert "Authorization" not in server.requests[0].headers


def test_an_answer_cut_at_the_limit_says_so_and_a_refusal_field_is_text(serve):
    server = serve(
        [{"content": "half", "finish": "length"}, {"content": None, "refusal": "I can't."}, {"content": None}]
    )
    endpoint = fast(server)
    assert endpoint.complete(HELLO) == Completion("half", False)
    assert endpoint.chat(HELLO) == "I can't."
    assert endpoint.chat(HELLO) == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status, serve):
    server = serve([{"status": status}, {"status": status, "retry_after": "0.001"}, {"content": "at last"}])
    assert fast(server).chat(HELLO) == "at last"
    assert len(server.requests) == 3


def test_a_connection_that_breaks_or_stays_silent_is_tried_again(serve):
    server = serve([{"hang_up": True}, {"wait": 1.0, "content": "late"}, {"content": "in time"}])
    assert fast(server, timeout=0.3).chat(HELLO) == "in time"


def test_it_gives_up_in_one_line(serve, one_line):
    server = serve(lambda _: {"status": 429, "error": "slow\ndown"})
    with pytest.raises(ClampdownError) as caught:
        fast(server, retries=2).chat(HELLO)
    one_line(caught, "3 times", "429", "slow down", server.url)
    assert len(server.requests) == 3


def test_a_refused_request_is_not_tried_again_and_says_why(serve, one_line):
    server = serve([{"status": 401, "error": "no such key"}, {"status": 404, "error": "no model m"}])
    for words in (("401", "no such key", "OPENAI_API_KEY"), ("404", "no model m")):
        with pytest.raises(ClampdownError) as caught:
            fast(server, key="secret").chat(HELLO)
        one_line(caught, *words)
        assert "secret" not in str(caught.value)
    assert len(server.requests) == 2


def test_a_chat_longer_than_the_context_is_told_apart(serve):
    server = serve([{"status": 400, "error": "This model's maximum context length is 64 tokens"}])
    with pytest.raises(TooLong):
        fast(server).chat(HELLO)


def test_the_key_is_not_carried_along_a_redirect(serve, one_line):
    server = serve([{"status": 302, "location": "http://elsewhere.invalid/v1"}])
    with pytest.raises(ClampdownError) as caught:
        fast(server, key="secret").chat(HELLO)
    one_line(caught, "elsewhere.invalid")


@pytest.mark.parametrize("raw", ["<html>", "{}", '{"choices": []}', '{"choices": [{"message": {"content": [1]}}]}', ""])
def test_what_is_no_completion_is_one_line(raw, serve, one_line):
    with pytest.raises(ClampdownError) as caught:
        fast(serve([{"raw": raw}])).chat(HELLO)
    one_line(caught, "no chat completion")


def test_nobody_there_is_one_line_at_once(one_line):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ClampdownError) as caught:
        Endpoint("m", url, backoff=60).chat(HELLO)
    one_line(caught, url, "running")


def test_many_chats_keep_their_order_and_have_seeds_of_their_own(serve):
    server = serve(lambda body: {"content": f"{body['messages'][0]['content']} {body['seed']}"})
    chats = [[{"role": "user", "content": str(i)}] for i in range(20)]
    said = fast(server).complete_all(chats, seed=100, at_once=5)
    assert [c.text for c in said] == [f"{i} {100 + i}" for i in range(20)]


def test_a_name_says_model_and_url(monkeypatch, one_line):
    monkeypatch.setenv("OPENAI_API_KEY", " sesame ")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    found = Endpoint.parse("openai:org/name@v2@http://localhost:8000/v1/")
    assert (found.model, found.url, found.key) == ("org/name@v2", "http://localhost:8000/v1", "sesame")
    assert "sesame" not in repr(found) + str(found)
    assert Endpoint.parse("openai:gpt").url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here:1/v1")
    assert Endpoint.parse("openai:gpt").url == "http://here:1/v1"
    for wrong in ("gpt", "openai:", "openai:gpt@ftp://x", "openai:gpt@http://me:pass@host/v1"):
        with pytest.raises(ClampdownError) as caught:
            Endpoint.parse(wrong)
        one_line(caught)
    monkeypatch.setenv("OPENAI_API_KEY", "two words")
    with pytest.raises(ClampdownError) as caught:
        Endpoint.parse("openai:gpt")
    one_line(caught, "OPENAI_API_KEY")
    assert "two words" not in str(caught.value)


def test_openais_own_gets_the_name_it_asks_for(monkeypatch):
    sent = {}

    def post(self, body):
        sent.update(body)
        return json.dumps({"choices": [{"message": {"content": "ok"}}]}).encode()

    monkeypatch.setattr(Endpoint, "_post", post)
    Endpoint("m").chat(HELLO, max_tokens=9)
    assert sent["max_completion_tokens"] == 9 and "max_tokens" not in sent
