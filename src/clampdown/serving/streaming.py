"""Answers while a client listens: sent as they are said, and dropped once it has gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from clampdown.serving.refusals import Refusal, as_refusal
from clampdown.serving.service import Answering
from clampdown.writing import json_text

T = TypeVar("T")
_GRACE = 5.0
"""Seconds for saying that the time is over."""


class EventStream(StreamingResponse):
    """Server-sent events of what is answered; the answers are dropped when the client goes."""

    def __init__(self, answering: Answering, chunks: AsyncIterator[BaseModel], *, leave_out: set[str]) -> None:
        self._answering = answering
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_events(chunks, leave_out), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = self._answering
        left = answering.service.limits.seconds - (time.monotonic() - answering.began)
        try:
            async with asyncio.timeout(max(left, 0) + _GRACE):
                await while_there(self.stream_response(send), receive)
        except (Refusal, TimeoutError):
            return  # nobody is there any more, or nobody who reads
        finally:
            self._answering.close()


async def heard_by(request: Request, work: Awaitable[T]) -> T:
    """What some work gives, while the client of a request is there. Raises Refusal where it has gone."""
    return await while_there(work, request.receive)


async def while_there(work: Awaitable[T], receive: Receive) -> T:
    """The same by what tells that a client has gone. The work is cancelled then."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Refusal(499, "the client has gone", code="gone")
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _events(chunks: AsyncIterator[BaseModel], leave_out: set[str]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            body = chunk.model_dump(exclude=leave_out - chunk.model_fields_set)
            yield f"data: {json_text(body)}\n\n".encode()
    except Exception as error:
        yield f"data: {json_text(as_refusal(error).body())}\n\n".encode()
    yield b"data: [DONE]\n\n"
