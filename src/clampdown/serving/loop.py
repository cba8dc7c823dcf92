"""The one thread that owns the engine: it steps, tells listeners, and between steps does what others ask of it."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from clampdown.engine.engine import Engine
from clampdown.engine.request import Answer, Chance, Request
from clampdown.errors import ClampdownError
from clampdown.serving.refusals import Refusal

T = TypeVar("T")
_LOG = logging.getLogger("clampdown.serving")


class Listener(Protocol):
    """Hears what comes of one request, on the engine's thread."""

    def said(self, token: int, chance: Chance | None) -> bool: ...
    def over(self, answer: Answer) -> None: ...
    def failed(self, error: Exception) -> None: ...


class Ticket:
    """Requests that were submitted together, to be cancelled together."""

    def __init__(self) -> None:
        self.numbers: list[int] = []


class EngineLoop:
    """Runs an engine in a thread of its own. `start` it once; `stop` lets it finish what it has begun."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._jobs: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._listeners: dict[int, Listener] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether it takes requests."""
        return self._thread.is_alive() and not self._stopping

    @property
    def under_way(self) -> int:
        """Requests that run or wait."""
        return len(self._listeners)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float | None = None) -> None:
        """Take no more requests, finish those there are, and end; after `patience` seconds, without finishing."""
        self._stopping = True
        self._jobs.put(None)
        self._thread.join(patience)

    async def do(self, job: Callable[[], T]) -> T:
        """What a job gives that is done on the engine's thread between two steps.

        Raises:
            Refusal: the server is being stopped. What the job raises.
        """
        if not self.running:
            raise Refusal(503, "the server is being stopped; come again later", code="stopping")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return  # nobody waits any more
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, failed = None, None
            try:
                result = job()
            except Exception as error:
                failed = error
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(settle, result, failed)

        self._jobs.put(run)
        return await future

    async def submit(self, make: Callable[[], Sequence[tuple[Request, Listener]]]) -> Ticket:
        """Submit requests, made on the engine's thread: all of them or, where one is refused, none.

        Raises:
            ClampdownError: as `Engine.submit` does. Refusal: the server is being stopped. What `make` raises.
        """
        ticket = Ticket()

        def job() -> None:
            for request, listener in make():
                number = self.engine.submit(request)
                ticket.numbers.append(number)
                self._listeners[number] = listener

        try:
            await self.do(job)
        except BaseException:
            self.cancel(ticket)
            raise
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Drop what is not over of the requests of a ticket. From any thread; nothing is waited for."""
        self._jobs.put(lambda: self._drop(ticket.numbers))

    def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if self._listeners.pop(number, None) is not None:
                self.engine.cancel(number)

    def _run(self) -> None:
        while self._work():
            try:
                events = self.engine.step()
                for event in events:
                    listener = self._listeners.get(event.request)
                    if listener is None:
                        continue
                    if event.token is not None and listener.said(event.token, event.chance):
                        self._end(event.request, listener)
                    if event.answer is not None:
                        del self._listeners[event.request]
                        listener.over(event.answer)
            except Exception as error:
                self._failed(error)

    def _end(self, number: int, listener: Listener) -> None:
        """Let an answer end where its listener says; it may just have ended by itself, which is told next."""
        if (answer := self.engine.end(number)) is not None:
            del self._listeners[number]
            listener.over(answer)

    def _work(self) -> bool:
        """Do what was asked meanwhile, waiting for it where the engine has nothing to do. False: it is time to end."""
        while True:
            if self._stopping and self.engine.idle and self._jobs.empty():
                return False
            try:
                job = self._jobs.get(block=self.engine.idle)
            except queue.Empty:
                return True
            if job is not None:
                job()

    def _failed(self, error: Exception) -> None:
        """Tell those whose requests a step has lost: what could not be read, or, where it was worse, all of them."""
        mild = isinstance(error, ClampdownError)
        if not mild:
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
            _LOG.error("the engine failed", extra={"facts": {"error": type(error).__name__, "at": place}})
        for number, listener in list(self._listeners.items()):
            if mild and self.engine.holds(number):
                continue
            del self._listeners[number]
            self.engine.cancel(number)
            listener.failed(error)
