"""The door: who may come in, with how much, and what the log says of it. What was said is never in the log."""

import asyncio
import hmac
import logging
import time
from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clampdown.serving.limits import Limits
from clampdown.serving.metrics import Metrics
from clampdown.serving.refusals import Refusal, as_refusal

_LOG = logging.getLogger("clampdown.serving")
_OPEN = ("/health", "/ready", "/", "/docs")
"""What needs no key: it tells nothing but that this server is here. The pages are the same everywhere."""
_CLOSE = {"Connection": "close"}
"""What is left of the request is not read."""


class Guard:
    """Lets requests through to `app`.

    Args:
        key: what the Authorization header must bear; none where empty.
        hosts: names that the Host header may bear, without the port; any where empty. A page elsewhere could else
            reach this server by a name that leads here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, key: str, hosts: Collection[str], limits: Limits, metrics: Metrics) -> None:
        self.app, self._key, self._hosts, self._limits, self._metrics = app, key.encode(), hosts, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            try:
                self._check(scope)
                body = await self._body(scope, receive)
                await self.app(scope, _again(body, receive), noted)
            except Exception as error:
                if not isinstance(error, Refusal):
                    _LOG.error("a request failed", extra={"facts": _fault(error)})
                if not status and getattr(error, "status", 0) != 499:  # somebody may be there to hear it
                    await as_refusal(error).response()(scope, receive, noted)
        finally:
            self._told(scope, status, time.monotonic() - began)

    def _check(self, scope: Scope) -> None:
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
        if self._hosts and _without_port(host) not in self._hosts:
            raise Refusal(421, "this server does not go by that host's name", code="unknown_host")
        if self._key and scope["path"] not in _OPEN and not scope["path"].startswith("/playground/"):
            given = next((value for name, value in headers if name == b"authorization"), b"")
            kind, _, token = given.partition(b" ")
            if not hmac.compare_digest(token.strip(), self._key) or kind.lower() != b"bearer":
                raise Refusal(401, "this server needs its API key, as a bearer token", code="invalid_api_key")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """All of a request's body, while it is within the limits."""
        most = self._limits.body
        told = dict(scope["headers"]).get(b"content-length", b"0")
        body, more = bytearray(), not (told.isdigit() and len(told) < 20 and int(told) > most)
        told_large = f"the request is larger than {most} bytes; shorten it"
        too_large = Refusal(413, told_large, code="too_large", headers=_CLOSE)
        if not more:
            raise too_large
        try:
            async with asyncio.timeout(self._limits.reading):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(499, "the client has gone", code="gone")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise Refusal(408, "the request did not come to its end in time", code="timeout", headers=_CLOSE) from None
        return bytes(body)

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        facts = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4)}
        _LOG.info("request", extra={"facts": facts | scope.get("state", {}).get("facts", {})})


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read once more, and then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _without_port(host: str) -> str:
    end = host.rfind("]") if host.startswith("[") else host.rfind(":") - 1
    return (host[: end + 1] if end >= 0 else host).lower()


def _fault(error: Exception) -> dict[str, Any]:
    """Where our own code failed; not its message, which may hold what a client said."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "at": frames[-3:]}
