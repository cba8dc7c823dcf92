"""The one thread that owns the engine: it steps, tells listeners, and between steps does what others ask of it."""

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
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


class _Promise:
    """A future of the running event loop, kept from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def keep(self, result: Any, error: BaseException | None = None) -> None:
        with suppress(RuntimeError):  # that loop is closed
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return  # nobody waits any more
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


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
        self._parted: deque[tuple[Generator[None, None, Any], _Promise]] = deque()

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
        promise = _Promise()

        def run() -> None:
            try:
                promise.keep(job())
            except Exception as error:
                promise.keep(None, error)

        self._jobs.put(run)
        found: T = await promise.future
        return found

    async def do_in_parts(self, job: Callable[[], Generator[None, None, T]]) -> T:
        """The same of a job that takes long: others' answers go on by a token where it yields.

        Nothing more of it is done once nobody waits for it.
        """

        promise = _Promise()
        await self.do(lambda: self._parted.append((job(), promise)))
        found: T = await promise.future
        return found

    def _part(self) -> None:
        """Go on with one job that is done in parts; they take turns."""
        if not self._parted:
            return
        job, promise = self._parted.popleft()
        if promise.future.cancelled():
            job.close()
            return
        try:
            next(job)
        except StopIteration as over:
            promise.keep(over.value)
        except Exception as error:
            promise.keep(None, error)
        else:
            self._parted.append((job, promise))

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
            self._part()
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
            if self._stopping and self._at_rest and self._jobs.empty():
                return False
            try:
                job = self._jobs.get(block=self._at_rest)
            except queue.Empty:
                return True
            if job is not None:
                job()

    @property
    def _at_rest(self) -> bool:
        return self.engine.idle and not self._parted

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
