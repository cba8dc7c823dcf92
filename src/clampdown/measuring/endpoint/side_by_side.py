"""Slow calls a few at a time, each result as soon as it is there."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def as_they_come(ask: Callable[[Any], Any], asked: Sequence[Any], at_once: int) -> Iterator[tuple[int, Any]]:
    """(place, `ask` of it) for each, a few at once, in the order in which they end.

    After a failure no further call is started; those under way still come, and then the failure is raised. Whoever
    stops listening does not wait for them: the threads end with the program.
    """
    waiting, lock, stop = iter(enumerate(asked)), threading.Lock(), threading.Event()
    ended: queue.SimpleQueue[tuple[int, Any, BaseException | None] | None] = queue.SimpleQueue()

    def work() -> None:
        while True:
            with lock:
                following = None if stop.is_set() else next(waiting, None)
            if following is None:
                break
            place, one = following
            try:
                ended.put((place, ask(one), None))
            except BaseException as error:
                stop.set()
                ended.put((place, None, error))
        ended.put(None)

    working = min(max(1, at_once), len(asked))
    for _ in range(working):
        threading.Thread(target=work, daemon=True).start()
    failure: BaseException | None = None
    try:
        while working:
            got = ended.get()
            if got is None:
                working -= 1
            elif got[2] is None:
                yield got[0], got[1]
            else:
                failure = failure or got[2]
    finally:
        stop.set()
    if failure is not None:
        raise failure


def at_a_time(ask: Callable[[Any], Any], asked: Sequence[Any], at_once: int) -> list[Any]:
    """`ask` of each, a few at once, in the order asked; after a failure no further one is started."""
    found = dict(as_they_come(ask, asked, at_once))
    return [found[place] for place in range(len(asked))]
