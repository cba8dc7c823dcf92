"""What a request is told that is not answered, in OpenAI's form."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from clampdown.errors import ClampdownError

_FOLDERS = re.compile(r"(?<![^\s'\"(=])(?:~[\w.-]*|[A-Za-z]:)?[/\\](?=[^\s/\\])(?:[^/\\:;,'\"()\n]*[/\\])*")
"""The folders of an absolute path, which may have blanks in their names."""
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """Why a request is not answered.

    Attributes:
        status: of HTTP: 400 and what follows is for the client to mend, 500 and what follows is not.
        code: a word for programs. param: the part of the request that is meant.
        headers: such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        kind = "server_error" if self.status >= 500 else _KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, headers=self.headers)


def as_refusal(error: Exception) -> Refusal:
    """Any error as what a client is told; of one that is a fault of ours nothing but that."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ClampdownError):
        return Refusal(400, without_folders(str(error)), code="cannot_be_honoured")
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, TimeoutError):
        return Refusal(503, "the answer took too long; ask for fewer tokens, or come again", code="timeout")
    return Refusal(500, "this server failed; its log says where", code="internal_error")


def without_folders(message: str) -> str:
    """A message in which files go by their names alone: where they lie here is nobody's business."""
    return _FOLDERS.sub("", message)


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler for what a request can be told."""
    return as_refusal(error).response()


def _invalid(errors: Sequence[Any]) -> Refusal:
    """What pydantic found first. The input is not repeated: it may be no text at all."""
    first = errors[0] if errors else {"loc": (), "msg": "it can't be read"}
    where = [str(part) for part in first["loc"] if part != "body" and not isinstance(part, int | float)]
    number = next((part for part in first["loc"] if isinstance(part, int)), None)
    param = ".".join(where[:3]) or None
    message = " ".join(str(first["msg"]).removeprefix("Value error, ").split())
    if first.get("type") == "json_invalid":
        return Refusal(400, "the request's body is not valid JSON", code="invalid_json")
    place = f"{param or 'the request'}{'' if number is None or not param else f' (item {number})'}"
    told = "not known here; leave it out" if first.get("type") == "extra_forbidden" else message
    return Refusal(400, f"{place[:200]}: {told[:300]}", code="invalid_value", param=param and param[:200])
