"""Small clients for the benchmark of the server: one connection a request, read as it comes, counted afterwards."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import ChatModel, load_chat_model

if TYPE_CHECKING:
    from serving_contenders import Served

LENGTHS = (24, 32, 40, 48)
"""Tokens of answers: no contender's are longer than another's."""


@dataclass(frozen=True)
class Asked:
    """A chat's request, and after how many pieces of text the client leaves, if it does."""

    body: dict[str, Any]
    leave: int = 0


@dataclass
class Said:
    """What came of one.

    Attributes:
        first: seconds until the first text. texts: of each choice, as much as came in time.
        stopped: choices that ended by themselves in time, for which one more token was said.
    """

    first: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)
    stopped: int = 0
    left: bool = False
    error: str = ""


def asked(models: Sequence[str]) -> Iterator[Asked]:
    """Plain requests without end: the models in turn, greedy."""
    questions = [item.text for item in builtin_set("safe").items]
    for number in count():
        said = [{"role": "user", "content": questions[number % len(questions)]}]
        length = LENGTHS[number * 7 % len(LENGTHS)]
        model = models[number % len(models)]
        yield Asked({"model": model, "messages": said, "max_tokens": length, "temperature": 0.0, "stream": True})


def asked_of_all_kinds(models: Sequence[str]) -> Iterator[Asked]:
    """The same, sampled and not, of several choices, with stops and log-probabilities; some leave half-way."""
    kinds: list[dict[str, Any]] = [
        {},
        {"temperature": 1.0, "seed": 3},
        {"n": 2, "temperature": 0.7},
        {"stop": ["\n\n", "."]},
        {"logprobs": True, "top_logprobs": 3},
        {"top_p": 0.9, "temperature": 1.0},
        {"stream_options": {"include_usage": True}},
    ]
    for number, one in enumerate(asked(models)):
        yield Asked(one.body | kinds[number % len(kinds)], leave=5 if number % 11 == 0 else 0)


async def keep_asking(
    server: "Served", clients: int, seconds: float, requests: Iterator[Asked], warm: float = 0
) -> list[Said]:
    """Let clients ask one request after another; what was said in so many seconds after `warm`. All are heard out."""
    found: list[Said] = []
    begin = time.monotonic() + warm
    end = begin + seconds

    async def client() -> None:
        while time.monotonic() < end:
            found.append(await ask_one(server, next(requests), begin, end))

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


async def ask_one(server: "Served", one: Asked, begin: float = 0, end: float = float("inf")) -> Said:
    """Ask one request of a server that listens; what it says from `begin` to `end` is kept."""
    said = Said()
    try:
        async with asyncio.timeout(300):
            await _ask(server.port, one, (begin, end), said)
    except (OSError, ValueError, KeyError, asyncio.IncompleteReadError, TimeoutError) as error:
        said.error = said.error or type(error).__name__
    return said


async def _ask(port: int, one: Asked, within: tuple[float, float], said: Said) -> None:
    began, pieces, done = time.monotonic(), 0, 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        body = json.dumps(one.body).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        status = (await reader.readline()).split()[1].decode()
        async for line in reader:
            if status != "200":
                said.error = f"status {status}: {line.decode(errors='replace').strip()[:200]}"
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            if "error" in chunk:
                said.error = str(chunk["error"])[:200]
            for choice in chunk.get("choices", ()):
                text = choice["delta"].get("content") or ""
                done += bool(choice.get("finish_reason"))
                if text and not pieces:
                    said.first = time.monotonic() - began
                pieces += bool(text)
                if within[0] <= time.monotonic() <= within[1]:
                    said.texts[choice["index"]] = said.texts.get(choice["index"], "") + text
                    said.stopped += choice.get("finish_reason") == "stop"
            if one.leave and pieces >= one.leave:
                said.left = True
                return
        if done < one.body.get("n", 1) and not said.error:
            said.error = "it was not answered to its end"
    finally:
        writer.close()


def counted(said: Sequence[Said]) -> int:
    """The tokens that were said, by one tokenizer, whoever said them."""
    texts = [text for one in said for text in one.texts.values() if text]
    return sum(map(len, _model().tokenizer(texts).input_ids)) + sum(one.stopped for one in said) if texts else 0


@cache
def _model() -> ChatModel:
    return load_chat_model()
