"""Who gets in and with how much; what happens when a client goes, when there is no room, and when the server ends."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from served import chat, listening, serving, until

from clampdown.engine.local import LocalEngine

LONG = {"max_tokens": 400, "stream": True}


@pytest.fixture
def httpx():
    return pytest.importorskip("httpx")


def first_piece(lines):
    """Read a stream until something was said."""
    for line in lines:
        if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            return
    raise AssertionError("nothing was said")


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_makes_room_for_the_next(stream, shelf, httpx):
    service = serving(shelf, rows=1, answers=1)
    with listening(service) as (url, _), httpx.Client(base_url=url, timeout=120) as client:
        body = chat("tiny:clamp", max_tokens=450, stream=stream)
        if stream:
            with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                first_piece(answer.iter_lines())
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/chat/completions", json=body, timeout=0.3)
        assert until(lambda: service.taken == 0 and service.loop.under_way == 0)
        assert until(lambda: service.loop.engine.idle)
        assert client.post("/v1/chat/completions", json=chat("tiny:clamp")).status_code == 200


def test_where_there_is_no_room_a_request_is_told_to_come_again(shelf, httpx):
    service = serving(shelf, rows=2, answers=2)
    with listening(service) as (url, _), httpx.Client(base_url=url, timeout=120) as client:
        with client.stream("POST", "/v1/chat/completions", json=chat("tiny", n=2, **LONG)) as answer:
            first_piece(lines := answer.iter_lines())  # which is kept: without it, the client would be gone
            refused = client.post("/v1/chat/completions", json=chat("tiny"))
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            assert client.get("/health").status_code == 200
            del lines
        assert until(lambda: client.post("/v1/chat/completions", json=chat("tiny")).status_code == 200)
        too_many = client.post("/v1/chat/completions", json=chat("tiny", n=3))
        assert too_many.status_code == 400  # it would never fit


def test_what_runs_is_finished_when_the_server_ends(shelf, httpx):
    service = serving(shelf)
    with listening(service) as (url, server), httpx.Client(base_url=url, timeout=120) as client:
        with client.stream(
            "POST", "/v1/chat/completions", json=chat("tiny:clamp", max_tokens=60, stream=True)
        ) as answer:
            lines = answer.iter_lines()
            first_piece(lines)
            server.should_exit = True
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]" and "receipts" in rest[-2]
        assert until(lambda: not service.loop.running)
        with pytest.raises(httpx.HTTPError):
            client.get("/health")


def test_a_key_is_asked_for_and_a_strange_host_turned_away(shelf, httpx):
    with listening(serving(shelf), key="sésame", hosts=("127.0.0.1",)) as (url, _):
        body, right = chat("tiny"), {"Authorization": "Bearer sésame".encode()}
        for headers in (
            {},
            {"Authorization": "Bearer sesame"},
            {"Authorization": "sésame".encode()},
            {"Authorization": "Bearer"},
        ):
            refused = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers)
            assert refused.status_code == 401 and refused.json()["error"]["code"] == "invalid_api_key"
            for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/clampdown/recipes"):
                assert httpx.get(f"{url}{path}", headers=headers).status_code == 401
        assert httpx.post(f"{url}/v1/chat/completions", json=body, headers=right, timeout=60).status_code == 200
        assert httpx.get(f"{url}/health").status_code == httpx.get(f"{url}/ready").status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "[::1]:80"):
            assert httpx.get(f"{url}/health", headers={"Host": host}).status_code == 421, host
        crossing = httpx.options(f"{url}/v1/models", headers={"Origin": "http://evil.example", **right})
        assert not [name for name in crossing.headers if name.startswith("access-control")]


@pytest.mark.parametrize("told", [True, False])
def test_a_body_that_is_too_large_is_not_read_to_its_end(told, shelf, httpx):
    with listening(serving(shelf, body=1000)) as (url, _):
        large = json.dumps(chat("tiny", "x" * 2000)).encode()
        content = large if told else iter([large[:500], large[500:]])
        refused = httpx.post(
            f"{url}/v1/chat/completions", content=content, headers={"Content-Type": "application/json"}
        )
        assert refused.status_code == 413
        assert httpx.post(f"{url}/v1/chat/completions", json=chat("tiny"), timeout=60).status_code == 200


def test_recipes_may_be_fixed(tiny, recipes, installed, httpx):
    from clampdown.serving.shelf import Shelf

    with listening(serving(Shelf(tiny, "tiny", recipes, overrides=False))) as (url, _):
        refused = httpx.post(f"{url}/v1/chat/completions", json=chat("tiny:gated", clampdown={"decide": "shut"}))
        assert refused.status_code == 400 and "by their names only" in refused.json()["error"]["message"]
        assert httpx.post(f"{url}/v1/chat/completions", json=chat("tiny:gated"), timeout=60).status_code == 200


def test_neither_log_nor_metrics_hold_what_was_said(http, caplog):
    secret = "xylophone"
    with caplog.at_level(logging.DEBUG):
        assert http.post("/v1/chat/completions", json=chat("tiny:clamp", secret)).status_code == 200
        assert http.post("/v1/chat/completions", json=chat("tiny:clamp", f"{secret} " * 400)).status_code == 400
        assert http.post("/v1/chat/completions", json=chat(secret, secret)).status_code == 404
        assert http.get(f"/{secret}", params={"q": secret}).status_code == 404
        assert until(lambda: len([one for one in caplog.records if "status" in getattr(one, "facts", {})]) == 4)
    ours = [record for record in caplog.records if record.name.startswith(("clampdown", "uvicorn"))]
    assert secret not in repr([(record.getMessage(), record.__dict__) for record in ours])
    metrics = http.get("/metrics").text
    assert secret not in metrics and 'clampdown_tokens_total{kind="said",model="tiny:clamp"}' in metrics


def test_an_operator_may_have_prompts_in_the_log(shelf, httpx, caplog):
    service = serving(shelf)
    service.log_prompts = True
    scored = {"model": "tiny", "prompt": ["one heron"], "max_tokens": 0, "echo": True, "logprobs": 0}
    with caplog.at_level(logging.INFO), listening(service) as (url, _):
        assert httpx.post(f"{url}/v1/chat/completions", json=chat("tiny", "a stork"), timeout=60).status_code == 200
        assert httpx.post(f"{url}/v1/completions", json=scored, timeout=60).status_code == 200
        assert until(lambda: len([one for one in caplog.records if getattr(one, "facts", {}).get("prompts")]) == 2)
    chatted, read = (one.facts["prompts"] for one in caplog.records if getattr(one, "facts", {}).get("prompts"))
    assert "a stork" in chatted[0] and read == ["one heron"]


def test_recipes_are_listed_without_the_servers_paths(http, recipes):
    told = http.get("/v1/clampdown/recipes").json()
    assert set(told) == {f"tiny:{name}" for name in recipes}
    assert told["tiny:clamp"]["edits"][0]["sae"] == "sae.safetensors"
    assert told["tiny:gated"]["gate"]["sha256"] == recipes["gated"].gate.sha256
    assert "/" not in repr([one for recipe in told.values() for one in (recipe.get("gate"), recipe["edits"])])
    described = http.get("/openapi.json").json()
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models"} <= set(described["paths"])


class Breaking(LocalEngine):
    """An engine whose next step fails."""

    fails: Exception | None = None

    def step(self):
        if self.fails is not None and not self.idle:
            error, self.fails = self.fails, None
            raise error
        return super().step()


def test_a_step_that_fails_is_told_and_the_server_goes_on(shelf, httpx):
    from clampdown.serving.limits import Limits
    from clampdown.serving.service import Service

    engine = Breaking(shelf.model)
    with listening(Service(shelf.model, shelf, engine, Limits())) as (url, _), httpx.Client(base_url=url) as client:
        engine.fails = RuntimeError("the prompt was xylophone")
        failed = client.post("/v1/chat/completions", json=chat("tiny"), timeout=60)
        assert failed.status_code == 500 and "xylophone" not in failed.text
        assert client.post("/v1/chat/completions", json=chat("tiny"), timeout=60).status_code == 200


def test_many_clients_that_come_and_go_leave_nothing_behind(shelf, httpx):
    service = serving(shelf, rows=4, answers=64)
    gone = threading.Event()
    with listening(service) as (url, _):

        def one(number):
            with httpx.Client(base_url=url, timeout=120) as client:
                body = chat(["tiny", "tiny:clamp", "tiny:gated"][number % 3], max_tokens=6 + number % 30, stream=True)
                with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                    if number % 4 == 0:
                        first_piece(answer.iter_lines())
                        gone.set()
                        return True
                    return [line for line in answer.iter_lines() if line][-1] == "data: [DONE]"

        with ThreadPoolExecutor(12) as pool:
            assert all(pool.map(one, range(36)))
        assert gone.is_set()
        assert until(lambda: service.taken == 0 and service.loop.under_way == 0 and service.loop.engine.idle)


def test_a_long_echo_lets_others_be_answered_between_its_parts(shelf, httpx, monkeypatch):
    from clampdown.engine import echoing

    monkeypatch.setattr(echoing, "_AT_ONCE", 2)
    service, order = serving(shelf), []
    step, part = service.loop.engine.step, service.loop._part
    service.loop.engine.step = lambda: (order.append("step"), step())[1]
    service.loop._part = lambda: (order.append("part") if service.loop._parted else None, part())[1]
    scored = {"model": "tiny:clamp", "prompt": [list(range(5, 65))] * 2, "max_tokens": 0, "echo": True, "logprobs": 0}
    with listening(service) as (url, _), httpx.Client(base_url=url, timeout=120) as client:
        with client.stream("POST", "/v1/chat/completions", json=chat("tiny", **LONG)) as answer:
            first_piece(lines := answer.iter_lines())
            assert client.post("/v1/completions", json=scored).status_code == 200
            first_piece(lines)  # there is more
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json=scored, timeout=0.01)
        assert until(lambda: service.taken == 0 and not service.loop._parted and service.loop.engine.idle)
        assert client.post("/v1/chat/completions", json=chat("tiny")).status_code == 200
    assert "part part" not in " ".join(order) and order.count("part") >= 60
