"""One POST to an endpoint: never elsewhere, and never without end."""

import email.utils
import http.client
import re
import time
import urllib.error
import urllib.request
from typing import Any

from clampdown.measuring.endpoint_reply import Trouble, read_error

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


def post(url: str, key: str, data: bytes, timeout: float) -> bytes:
    """The body of the reply to JSON.

    Args:
        key: sent as a bearer token where not empty.
        timeout: seconds of silence.

    Raises:
        Failed: its status is not 200.
        Endless: it is too long.
        OSError, HTTPException, ValueError: there is none, or it broke off.
    """
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with _OPENER.open(urllib.request.Request(url, data, headers), timeout=timeout) as reply:
            return _read(reply)
    except urllib.error.HTTPError as error:
        with error:
            trouble = read_error(error.code, error.read(_LARGEST), str(error.reason))
        wait, location = _seconds(error.headers.get("Retry-After")), error.headers.get("Location") or ""
        raise Failed(trouble, wait, location) from error


def _read(reply: Any) -> bytes:
    """The whole body.

    Raises:
        HTTPException: it broke off.
    """
    parts, size, begun = [], 0, time.monotonic()
    while part := reply.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > _LARGEST or time.monotonic() > begun + _LONGEST:
            raise Endless(f"{size >> 20} MB in {time.monotonic() - begun:.0f} s")
    if reply.length:
        raise http.client.IncompleteRead(b"".join(parts), reply.length)
    return b"".join(parts)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """No redirects: urllib would send the key along to wherever it is pointed."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_StayHere)


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
