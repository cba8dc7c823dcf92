"""Whose turn it is to run a model: one thread at a time, and one steering at a time, so that no call gets another's.

What steers, reads or skips blocks does so by hooks on the model, and a hook meets every call of that model. So all that
runs a model here takes its turn first. The thread that has it may take it again; others wait, in the order they came. A
call that comes from another thread without having taken its turn can't be made to wait; a hook that meets it refuses.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from clampdown.errors import ClampdownError

_PATIENCE = 1.0
"""Seconds after which a thread that waits looks whether the one it waits for still lives."""


class Turn:
    """The turn to run one model. It is over once it was given back as often as it was taken.

    Attributes:
        steering: the one that is on, which every call of the model then gets; None where none is.
    """

    def __init__(self) -> None:
        self.steering: object | None = None
        self._changed = threading.Condition()
        self._holder: threading.Thread | None = None
        self._held: set[object] = set()
        self._waiting: deque[object] = deque()

    def take(self, key: object) -> None:
        """Wait until no other thread has the turn, then have it until `key` is given back.

        Raises:
            ClampdownError: the thread that has it ended without giving it back, so that nobody ever will.
        """
        me = threading.current_thread()
        with self._changed:
            if self._holder is not me:
                self._wait(key)
                self._holder = me
            self._held.add(key)

    def give_back(self, key: object) -> None:
        """End what `take(key)` began, in whatever thread; nothing where it never was."""
        with self._changed:
            self._held.discard(key)
            if not self._held:
                self._holder = None
                self._changed.notify_all()

    def check_mine(self) -> None:
        """Raise ClampdownError in a thread that does not have the turn."""
        if self._holder is not threading.current_thread():
            raise ClampdownError(
                "another thread is steering or reading this model now, and would have changed this call too; open "
                "`steered` in the thread that calls the model, or let `generate` wait its turn"
            )

    def _wait(self, key: object) -> None:
        self._waiting.append(key)
        try:
            while self._holder is not None or self._waiting[0] is not key:
                self._changed.wait(_PATIENCE)
                if self._holder is not None and not self._holder.is_alive():
                    raise ClampdownError(
                        f"{self._holder.name} ended with this model still steered; close a steering in the thread that "
                        "opened it, and load the model anew"
                    )
        finally:
            self._waiting.remove(key)
            self._changed.notify_all()


_TURNS: WeakKeyDictionary[nn.Module, Turn] = WeakKeyDictionary()
_NEW = threading.Lock()


def turn_of(decoder: nn.Module) -> Turn:
    """The turn of a model, by the part that holds its blocks (`residual.decoder`): several models may wrap one."""
    with _NEW:
        return _TURNS.setdefault(decoder, Turn())


@contextmanager
def taken(decoder: nn.Module) -> Iterator[Turn]:
    """Within, it is this thread's turn to run the model, steered here or not."""
    turn, key = turn_of(decoder), object()
    try:
        turn.take(key)
        yield turn
    finally:
        turn.give_back(key)


@contextmanager
def unsteered(decoder: nn.Module) -> Iterator[Turn]:
    """The same for what must see the model as it is.

    Raises:
        ClampdownError: a steering is on in this thread.
    """
    with taken(decoder) as turn:
        if turn.steering is not None:
            raise ClampdownError("this model is being steered here already; close that steering first")
        yield turn
