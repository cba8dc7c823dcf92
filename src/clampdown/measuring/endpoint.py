"""A chat model behind an OpenAI-compatible HTTP endpoint, as attacker, judge or target: the standard library only."""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError

Chat = Sequence[Mapping[str, str]]
"""Messages of one conversation: {"role": ..., "content": ...} each."""
DEFAULT_URL = "https://api.openai.com/v1"
_NAME = re.compile(r"openai:(?P<model>(?:(?!://).)+?(?<!@))(?:@(?P<url>https?://\S+))?")
_LONG = re.compile(r"context|too (?:long|large)|maximum.{0,30}tokens", re.I)
_LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more is taken at this."""
_BROKEN = (TimeoutError, ConnectionError, http.client.HTTPException)
_LARGEST = 16 << 20
"""Bytes of a reply that are read."""


class Completion(NamedTuple):
    """What an endpoint said, and whether it stopped by itself rather than at `max_tokens`."""

    text: str
    finished: bool


class TooLong(ClampdownError):
    """The conversation does not fit the model's context."""


class _Again(Exception):
    """Worth another try; `wait` is how long the server asked for, in seconds (0: it didn't say)."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Endpoint:
    """One model at one endpoint.

    Attributes:
        url: up to and without /chat/completions.
        key: sent as a bearer token where not empty; never shown.
        timeout: seconds of silence after which a request is tried again.
        retries: further tries after 429, 5xx, a timeout or a broken connection.
        backoff: seconds before the first of them; doubled each time. A Retry-After of the server's is kept to.
    """

    model: str
    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    retries: int = 4
    backoff: float = 1.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", self.url):
            raise ClampdownError(f"endpoint {self.model!r} needs a URL such as http://localhost:8000/v1")
        if not re.fullmatch(r"[!-~]*", self.key):
            raise ClampdownError("the key in OPENAI_API_KEY holds a space or a letter that no header can; set it anew")

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """The endpoint called `openai:MODEL@URL`, or `openai:MODEL` for OPENAI_BASE_URL or OpenAI's own.

        The key comes from the environment, OPENAI_API_KEY; a local server needs none.
        """
        found = _NAME.fullmatch(text)
        if not found:
            raise ClampdownError(f"{text!r} names no endpoint; write openai:MODEL@URL, the URL up to and with /v1")
        url = found["url"] or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL
        return cls(found["model"], url.rstrip("/"), os.environ.get("OPENAI_API_KEY", "").strip())

    def chat(
        self, messages: Chat, *, temperature: float | None = 0.0, max_tokens: int = 512, seed: int | None = None
    ) -> str:
        """The text of the model's answer. See `complete`."""
        return self.complete(messages, temperature=temperature, max_tokens=max_tokens, seed=seed).text

    def complete(
        self, messages: Chat, *, temperature: float | None = 0.0, max_tokens: int = 512, seed: int | None = None
    ) -> Completion:
        """The model's answer; `temperature` or `seed` None leaves that to the server.

        Raises:
            TooLong: the server says that the conversation exceeds the model's context.
            ClampdownError: one line, when the endpoint can't be reached, refuses the request, or answers something that
                is no completion.
        """
        limit = "max_completion_tokens" if self.url == DEFAULT_URL else "max_tokens"  # OpenAI's newer models want that
        body: dict[str, Any] = {"model": self.model, "messages": [dict(m) for m in messages], limit: max_tokens}
        body |= {k: v for k, v in (("temperature", temperature), ("seed", seed)) if v is not None}
        for left in range(self.retries, -1, -1):
            try:
                return _completion(self._post(body))
            except _Again as again:
                if not left:
                    tries = self.retries + 1
                    raise ClampdownError(f"{self} failed {tries} times: {again}; try later, or name another") from again
                time.sleep(min(_LONGEST_WAIT, again.wait or self.backoff * 2 ** (self.retries - left)))
            except ValueError as error:
                raise ClampdownError(
                    f"{self} answered something that is no chat completion ({error}); check the URL, which ends before "
                    "/chat/completions"
                ) from error
        raise AssertionError("unreachable")

    def complete_all(
        self,
        chats: Sequence[Chat],
        *,
        temperature: float | None = 0.0,
        max_tokens: int = 512,
        seed: int | None = None,
        at_once: int = 8,
    ) -> list[Completion]:
        """Answers to many conversations, a few requests at once, in the order asked; chat i is sent seed + i."""

        def ask(numbered: tuple[int, Chat]) -> Completion:
            number, chat = numbered
            own = None if seed is None else seed + number
            return self.complete(chat, temperature=temperature, max_tokens=max_tokens, seed=own)

        return at_a_time(ask, list(enumerate(chats)), at_once)

    def __str__(self) -> str:
        return f"endpoint openai:{self.model}@{self.url}"

    def _post(self, body: Mapping[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        try:
            request = urllib.request.Request(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)
            with _OPENER.open(request, timeout=self.timeout) as reply:
                return reply.read(_LARGEST)
        except urllib.error.HTTPError as error:
            with error:
                said = _reason(error.read(_LARGEST)) or error.reason
            if error.code in (408, 429) or error.code >= 500:
                raise _Again(f"{error.code} {said}", _seconds(error.headers.get("Retry-After"))) from error
            if error.code in (301, 302, 303, 307, 308):
                said = f"it points to {error.headers.get('Location')}; name that URL"
            elif error.code in (401, 403):
                said = f"{said}; set OPENAI_API_KEY"
            kind = TooLong if error.code in (400, 413) and _LONG.search(said) else ClampdownError
            raise kind(f"{self} refused the request ({error.code}): {said}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, _BROKEN) and not isinstance(reason, ConnectionRefusedError | http.client.InvalidURL):
                raise _Again(str(reason) or type(reason).__name__) from error
            raise ClampdownError(f"can't reach {self}: {reason}; is it running?") from error


def at_a_time(ask: Callable[[Any], Any], asked: Sequence[Any], at_once: int) -> list[Any]:
    """`ask` of each, a few at once, in the order asked; after a failure no further one is started."""
    pool = ThreadPoolExecutor(max(1, at_once))
    try:
        return list(pool.map(ask, asked))
    finally:
        pool.shutdown(cancel_futures=True)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """No redirects: urllib would send the key along to wherever it is pointed."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_StayHere)


def _completion(data: bytes) -> Completion:
    """Raises ValueError where there is none."""
    try:
        choice = json.loads(data)["choices"][0]
        message = choice["message"]
        text = message.get("content") or message.get("refusal") or ""
        if not isinstance(text, str):
            raise TypeError
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("choices[0].message.content is not there") from error
    return Completion(text, choice.get("finish_reason") != "length")


def _reason(data: bytes) -> str:
    """What the body of an error says, as one short line."""
    text = data.decode("utf-8", "replace")
    try:
        body = json.loads(text)
        inner = body.get("error", body)
        text = str(inner.get("message", inner) if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError, RecursionError):
        pass
    return " ".join(text.split())[:200]


def _seconds(text: str | None) -> float:
    """A Retry-After in seconds; its other form, a date, is not read."""
    return float(text) if text and re.fullmatch(r"\d+(\.\d+)?", text) else 0.0
