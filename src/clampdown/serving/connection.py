"""Connections that don't dawdle: a request's head must come within some time, however slowly it trickles."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def hasty(seconds: float) -> type[H11Protocol]:
    """uvicorn's HTTP, which by itself waits without end for the rest of a head; such a connection is closed."""

    class Hasty(H11Protocol):
        _clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wait(self) -> None:
            """Let the clock run while a head is awaited, or what is left of a body that nobody wants."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop()
            elif self._clock is None and not self.transport.is_closing():
                self._clock = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

    return Hasty
