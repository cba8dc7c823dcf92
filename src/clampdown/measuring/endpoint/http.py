"""One POST to an endpoint: never elsewhere, and never without end."""

import email.utils
import re
import time
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from clampdown.measuring.endpoint.reply import Trouble, read_error

_LONGEST = 900.0
"""Seconds that a reply may take once it has begun, however steadily it trickles."""
_LARGEST = 16 << 20
"""Bytes of a reply that are read."""


class Failed(Exception):
    """A reply with another status than 200; `wait` is how long the server asked for, in seconds (0: it didn't say)."""

    def __init__(self, trouble: Trouble, wait: float, location: str) -> None:
        super().__init__(trouble.message)
        self.trouble, self.wait, self.location = trouble, wait, location


class Endless(Exception):
    """A reply that grew too large, or took too long."""


class Unreached(Exception):
    """There is no reply, or it broke off. broken: it may come another time, or else nobody was there at all."""

    def __init__(self, reason: str, broken: bool) -> None:
        super().__init__(reason)
        self.broken = broken


def post(url: str, key: str, data: bytes, timeout: float) -> bytes:
    """The body of the reply to JSON.

    Args:
        key: sent as a bearer token where not empty.
        timeout: seconds of silence.

    Raises:
        Failed: its status is none of success.
        Endless: it is too long.
        Unreached: there is none, or it broke off.
    """
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with _client().stream(
            "POST", url, content=data, headers=headers, timeout=httpx.Timeout(timeout, pool=None)
        ) as reply:
            if reply.is_success:
                return _read(reply)
            trouble = read_error(reply.status_code, _read(reply), reply.reason_phrase)
            wait, location = _seconds(reply.headers.get("Retry-After")), reply.headers.get("Location", "")
            raise Failed(trouble, wait, location)
    except httpx.InvalidURL as error:
        raise Unreached(str(error), False) from error
    except httpx.RequestError as error:
        system = _system_error(error)
        absent = isinstance(error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol)
        broken = not absent or (isinstance(system, ConnectionError) and not isinstance(system, ConnectionRefusedError))
        raise Unreached(str(system or error) or type(error).__name__, broken) from error


def _read(reply: httpx.Response) -> bytes:
    """The whole body."""
    parts, size, begun = [], 0, time.monotonic()
    for part in reply.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > _LARGEST or time.monotonic() > begun + _LONGEST:
            raise Endless(f"{size >> 20} MB in {time.monotonic() - begun:.0f} s")
    return b"".join(parts)


@cache
def _client() -> httpx.Client:
    """It follows no redirect, with which the key would go wherever it is pointed, and keeps no cookie."""
    return httpx.Client(
        headers={"Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        limits=httpx.Limits(max_connections=None),
    )


def _system_error(error: BaseException | None) -> OSError | None:
    """What the system said of it, in its own words, where it did."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _seconds(text: str | None) -> float:
    """A Retry-After in seconds, from either of its forms."""
    if not text:
        return 0.0
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
