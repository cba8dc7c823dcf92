"""Work handed out to several workers: like to like, nothing before what it needs, and again where it was lost."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from clampdown.errors import ClampdownError

_TRIES = 3
"""A task that took so many workers with it is taken for what ends them."""


@dataclass(frozen=True, eq=False)
class Task:
    """One piece of work.

    Attributes:
        number: its place among all tasks, from 0.
        title: what it is, for people.
        given: makes what its worker is told, when it is handed out.
        alike: tasks that are equal in this share what a worker keeps from one to the next.
        after: numbers of the tasks that must be done before.
    """

    number: int
    title: str
    given: Callable[[], Any]
    alike: Hashable = None
    after: frozenset[int] = frozenset()


class Tasks:
    """What waits, what is being done, and what is done."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._waiting = sorted(tasks, key=lambda task: task.number)
        self._doing: list[Task] = []
        self._done: set[int] = set()
        self._lost: Counter[int] = Counter()

    @property
    def left(self) -> int:
        """How many are not done."""
        return len(self._waiting) + len(self._doing)

    def next(self, last: Task | None = None) -> Task | None:
        """The next task for a worker that did `last`; None where all that waits needs something first.

        Of those like `last` the first; else of those unlike all that the others do; else the first.
        """
        ready = [task for task in self._waiting if task.after <= self._done]
        busy = {task.alike for task in self._doing}
        like = [task for task in ready if last is not None and task.alike == last.alike]
        fresh = [task for task in ready if task.alike not in busy]
        found = next(iter(like or fresh or ready), None)
        if found is not None:
            self._waiting.remove(found)
            self._doing.append(found)
        return found

    def done(self, task: Task) -> None:
        self._doing.remove(task)
        self._done.add(task.number)

    def lost(self, task: Task, why: str) -> None:
        """Back to its place in the queue: its worker is gone.

        Raises:
            ClampdownError: that befell it several times.
        """
        self._doing.remove(task)
        self._lost[task.number] += 1
        if self._lost[task.number] == _TRIES:
            raise ClampdownError(
                f"{_TRIES} workers were lost over the same work ({task.title}): {why}; see whether their memory is "
                "enough, or take a smaller batch. What is done is kept"
            )
        self._waiting = sorted([*self._waiting, task], key=lambda one: one.number)
