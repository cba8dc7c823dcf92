"""Progress on standard error: a bar with the time left, for work that takes longer than two seconds."""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from clampdown.cli.interrupts import checkpoint
from clampdown.cli.terminal import console, on_terminal, one_line, say

PATIENCE = 2.0
"""Seconds before a bar appears."""
_LINE_EVERY = 30.0
"""Seconds between plain lines where standard error is no terminal."""


@dataclass
class _Stage:
    name: str
    total: int
    remark: str = ""
    done: int = 0
    before: int = 0  # done when we first heard of it: an earlier run's work, which says nothing of today's speed
    start: float = field(default_factory=lambda: time.monotonic())

    @property
    def left(self) -> float | None:
        """Seconds left at the stage's mean speed so far; None while nothing can be said."""
        fresh = self.done - self.before
        if not self.total or fresh <= 0:
            return None
        return (self.total - self.done) * (time.monotonic() - self.start) / fresh


class ProgressBar:
    """A `clampdown.progress.Progress`. Use it as a context; it leaves nothing on the screen."""

    def __init__(self) -> None:
        self.stage: _Stage | None = None
        self.terminal = on_terminal(aside=True)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: Any = None
        self._said = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        if self.terminal:
            self._timer = threading.Timer(PATIENCE, self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._bar is not None:
                self._bar.stop()
                self._bar = None
        if kind is None:
            checkpoint()

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        """Told what was done since the last call; a total of 0 is work of unknown length."""
        checkpoint()
        with self._lock:
            if self.stage is None or self.stage.name != stage:
                self.stage = _Stage(stage, total, before=done)
            self.stage.done += done
            self.stage.total, self.stage.remark = total, remark
            if self._bar is not None:
                self._show()
        if not self.terminal and time.monotonic() - self._said > _LINE_EVERY:
            self._said = time.monotonic()
            say(self._line(self.stage), aside=True)

    def _appear(self) -> None:
        bar = _bar()  # outside the lock: its import takes a moment, and the work should not wait
        with self._lock:
            if self._timer is None:  # the work ended first
                return
            self._bar = bar
            self._show()
            self._bar.start()

    def _show(self) -> None:
        if self.stage is None:
            return
        now, task = self.stage, self._bar.tasks[0].id
        self._bar.update(
            task,
            description=one_line(now.name),
            total=now.total or None,
            completed=min(now.done, now.total),
            left=_time(now.left),
            remark=one_line(now.remark),
        )

    @staticmethod
    def _line(now: _Stage) -> str:
        share = f" {now.done / now.total:.0%}" if now.total else ""
        left = f", {_time(now.left)}" if now.left is not None else ""
        return one_line(f"{now.name}{share}{left} {now.remark}".rstrip())


def _bar() -> Any:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    remark = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[remark]}", style="dim", markup=False, table_column=remark),
    ]
    bar = Progress(*columns, console=console(aside=True), transient=True, expand=True, redirect_stdout=False)
    bar.add_task("working", total=None, left="", remark="")
    return bar


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = int(seconds + 0.5)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min left"
    return f"{whole // 60} min {whole % 60:02d} s left" if whole >= 60 else f"{whole} s left"
