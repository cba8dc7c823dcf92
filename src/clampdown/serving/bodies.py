"""Bodies as JSON that says one thing: of a key that comes twice, readers before this one may have seen the other."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute


class StrictRoute(APIRoute):
    """A route whose requests' bodies are read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_Strict(request.scope, request.receive))

        return handle_strictly


class _Strict(Request):
    async def json(self) -> Any:
        """The body. Raises HTTPException where a key comes twice in one object, or a number has too many digits."""
        body = await self.body()
        try:
            return json.loads(body, object_pairs_hook=_once)
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            told = str(error) if isinstance(error, _Twice) else "the request's body can't be read as JSON"
            raise HTTPException(400, told) from None


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice("a key comes twice in the request's body, and which one is meant can't be told; leave one out")
    return found
