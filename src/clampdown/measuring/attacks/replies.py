"""Find the JSON object that an attacker or a judge was asked for in what it said."""

import json
import re
from typing import Any

_OPEN = re.compile(r"\{")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def json_reply(text: str, *keys: str) -> dict[str, Any] | None:
    """The last object in a text that has any of `keys`; None if none has.

    Fences, thoughts and chatter around it don't matter, and `nextMessage` is read as `next_message`.
    """
    decoder = json.JSONDecoder(strict=False)  # models put plain line breaks into strings
    found, at = None, 0
    while start := _OPEN.search(text, at):
        try:
            body, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.end()
            continue
        body = {_CAMEL.sub("_", key).lower(): value for key, value in body.items()}
        if any(key in body for key in keys):
            found = body
    return found
