"""What comes back from an OpenAI-compatible endpoint: a completion, whole or streamed, or an error."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

FILTERED = "content filter"
DECLINED = "declined by the model"
REASONED = "only reasoning"
_CUT = ("length", "max_tokens", "max_output_tokens")
_FILTERS = ("content_filter", "safety", "prohibited", "blocklist")
"""Beginnings of a finish_reason that names a filter, as different servers write it."""
_BLOCKED = re.compile(r"block_?reason|\"filtered\": true", re.I)
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
"""Kinds of parts that a model does not say."""


class Completion(NamedTuple):
    """What an endpoint said, and whether it stopped by itself rather than at the limit of tokens.

    why: FILTERED where the service's content filter stood in the model's place, DECLINED where the text is a refusal
    that came in a field of its own, REASONED where the model thought and said nothing; else empty.
    """

    text: str
    finished: bool
    why: str = ""


class Trouble(NamedTuple):
    """An error as an endpoint tells it: HTTP status, its words on one line, its codes, the parameter it names."""

    status: int
    message: str
    codes: str = ""
    parameter: str = ""


def read_reply(data: bytes) -> Completion | Trouble:
    """The completion in the body of a reply that came with status 200, or the error that it holds in its place.

    Raises:
        ValueError: it is neither.
    """
    try:
        body = _streamed(data) if data.lstrip().startswith((b"data:", b"event:", b":")) else json.loads(data)
        if trouble := _carried(body):
            return trouble
        if (nothing := _without_choices(body)) is not None:
            return nothing
        choice = body["choices"][0]
        if choice.get("error"):
            return _trouble(200, choice["error"])
        return _completion(choice)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("choices[0].message.content is not there") from error


def read_error(status: int, data: bytes, reason: str = "") -> Trouble:
    """The error in the body of any other reply; a page of HTML gives its title."""
    text = data.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        title = re.search(r"<title>(.*?)</title>", text, re.S | re.I)
        page = title[1] if title else "" if re.match(r"\s*<", text) else text
        return Trouble(status, one_line(page) or reason)
    if isinstance(body, list) and body:  # Google's
        body = body[0]
    trouble = _trouble(status, body.get("error", body) if isinstance(body, Mapping) else body)
    return trouble if trouble.message else trouble._replace(message=reason)


def one_line(text: str) -> str:
    """Foreign words as one short line that prints literally."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _completion(choice: Mapping[str, Any]) -> Completion:
    finish = str(choice.get("finish_reason") or "").lower()
    blocked = finish.startswith(_FILTERS)
    message: Mapping[str, Any] = (choice.get("message") if blocked else choice["message"]) or {}
    text, refusal = _text(message.get("content"))
    refusal = refusal or message.get("refusal") or ""
    thought = message.get("reasoning_content") or message.get("reasoning") or _thinks(message.get("content"))
    if not isinstance(refusal, str):
        raise TypeError
    finished = finish not in _CUT and not (blocked and text)
    if blocked:
        return Completion(text or refusal, finished, FILTERED)
    if text:
        return Completion(text, finished)
    if refusal:
        return Completion(refusal, finished, DECLINED)
    return Completion("", finished, REASONED if thought else "")


def _without_choices(body: Mapping[str, Any]) -> Completion | None:
    """A completion that holds none, as some services answer in a filter's place; None for any other body."""
    if body.get("choices") or not str(body.get("object")).startswith("chat.completion"):
        return None
    told = json.dumps([body.get(key) for key in ("promptFeedback", "prompt_feedback", "prompt_filter_results")])
    return Completion("", True, FILTERED if _BLOCKED.search(told) else "")


def _thinks(content: Any) -> bool:
    """Whether a content in parts holds a thought."""
    return isinstance(content, list) and any(part["type"] in _THOUGHTS for part in content)


def _text(content: Any) -> tuple[str, str]:
    """The text and the refusal in a message's content, which may come in parts; thoughts among them are left out."""
    if content is None or isinstance(content, str):
        return content or "", ""
    kinds: dict[str, list[str]] = {"text": [], "refusal": []}
    for part in content:
        kind = "text" if part["type"] == "output_text" else part["type"]
        if kind in kinds:
            kinds[kind].append(part[kind])
    return "".join(kinds["text"]), "".join(kinds["refusal"])


def _streamed(data: bytes) -> dict[str, Any]:
    """A stream of events as the one reply that it adds up to: some servers stream unasked."""
    message: dict[str, Any] = {}
    finish = None
    for event in _events(data):
        if _carried(event):
            return event
        for choice in event.get("choices") or ():
            finish = choice.get("finish_reason") or finish
            for key, piece in (choice.get("delta") or choice.get("message") or {}).items():
                if isinstance(piece, str) and key != "role":
                    message[key] = message.get(key, "") + piece
    if not message and finish is None:
        raise ValueError("a stream without an answer")
    if finish is None:
        raise ValueError("a stream that broke off")
    return {"choices": [{"message": message, "finish_reason": finish}]}


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    for line in re.split(r"\r\n|\n|\r", data.decode("utf-8", "replace")):  # U+2028 and the like are part of a text
        field, _, value = line.partition(":")
        if field == "data" and value.strip() not in ("", "[DONE]"):
            yield json.loads(value)


def _carried(body: Mapping[str, Any]) -> Trouble | None:
    """The error that a body holds in place of choices; its status is the code it names, if that is one."""
    return _trouble(200, body["error"]) if body.get("error") and not body.get("choices") else None


def _trouble(status: int, told: Any) -> Trouble:
    if not isinstance(told, Mapping):
        return Trouble(400 if status == 200 else status, one_line(str(told)))
    inner = told.get("innererror") or told.get("inner_error") or {}
    codes = [told.get("code"), told.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
    if status == 200:
        number = str(told.get("code") or told.get("status") or "")
        status = int(number) if re.fullmatch(r"[45]\d\d", number) else 400
    said = told.get("message") or told.get("detail") or dict(told)
    message = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    named = told.get("param")
    return Trouble(
        status,
        one_line(message),
        " ".join(str(code) for code in codes if code).lower(),
        named if isinstance(named, str) else "",
    )
