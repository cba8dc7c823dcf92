"""Thousands of broken and hostile requests: every one is answered or its connection closed, and nobody else notices."""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hostile import answered, requests
from served import chat, listening, serving, until

SECRET = "xylophone"
LIMITS = {"rows": 8, "answer_tokens": 6, "prompt_tokens": 200, "n": 4, "prompts": 8, "reading": 1, "body": 200_000}


@pytest.fixture(scope="module")
def open_door(shelf):
    """A server with narrow limits, its port, and a neighbour's answer, which must stay the same."""
    service = serving(shelf, **LIMITS)
    with listening(service, hosts=("127.0.0.1", "localhost")) as (url, _):
        yield service, url


@pytest.mark.parametrize("number", [1000, pytest.param(10_000, marks=pytest.mark.long)])
def test_no_request_breaks_it_hangs_or_hears_what_is_not_its_own(number, open_door, recipes):
    import httpx

    service, url = open_door
    port, over, others = int(url.rpartition(":")[2]), threading.Event(), []
    body = chat("tiny:clamp", f"Tell of the {SECRET}", max_tokens=6, stop=[], logprobs=True)

    def neighbour():
        with httpx.Client(base_url=url, timeout=120) as client:
            while not over.is_set():
                others.append(client.post("/v1/chat/completions", json=body).json().get("choices"))
                time.sleep(0.2)

    there = threading.Thread(target=neighbour)
    there.start()
    try:
        with ThreadPoolExecutor(16) as pool:
            wanted = list(requests(number, number, recipes["gated"].gate))
            told = list(pool.map(lambda data: answered(port, data), wanted))
    finally:
        over.set()
        there.join()
    statuses = [int(found[1]) if (found := re.match(rb"HTTP/1.1 (\d+)", one)) else 0 for one in told]
    wrong = [(sent, one[:400]) for sent, one, status in zip(wanted, told, statuses, strict=True) if status >= 500]
    assert not wrong, wrong[:3]
    assert not [one for one in told if SECRET.encode() in one or b"Traceback" in one or b"clampdown/" in one]
    assert {200, 400} <= set(statuses)
    assert others[0] and all(one == others[0] for one in others)
    assert until(lambda: service.taken == 0 and service.loop.under_way == 0)


@pytest.mark.parametrize("body", [False, True])
def test_what_trickles_is_not_waited_for(body, open_door):
    """A client that sends a byte now and then would else keep its connection for ever."""
    head = b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n" + b"\r\n" * body
    with socket.create_connection(("127.0.0.1", int(open_door[1].rpartition(":")[2])), timeout=60) as there:
        there.sendall(head)
        there.settimeout(0.1)
        told, ended, end = b"", False, time.monotonic() + 60
        while not ended and time.monotonic() < end:
            try:
                there.sendall(b"x")
                told += (part := there.recv(1000))
                ended = not part
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
    assert ended and (told.startswith(b"HTTP/1.1 408") if body else not told)


def test_a_client_that_does_not_read_is_given_up(shelf):
    import asyncio

    from clampdown.serving import streaming
    from clampdown.serving.chat import chat_chunks, chat_order
    from clampdown.serving.requests import ChatRequest

    service = serving(shelf, seconds=1)
    service.loop.start()

    async def deaf(_message):
        await asyncio.sleep(3600)

    async def there():
        await asyncio.sleep(3600)

    async def asked():
        order = chat_order(service, ChatRequest.model_validate(chat("tiny", stream=True)))
        answering = await service.begin(order)
        assert service.taken == 1
        stream = streaming.EventStream(answering, chat_chunks(answering, False), leave_out=set())
        await asyncio.wait_for(stream({"type": "http"}, there, deaf), 60)

    asyncio.run(asked())
    assert service.taken == 0
    service.loop.stop()
