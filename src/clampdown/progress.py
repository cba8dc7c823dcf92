"""How long work tells what it has done; the command line draws it, a library call ignores it."""

from collections.abc import Callable

Progress = Callable[[str, int, int, str], None]
"""Told the stage's name, what was done since the last call, the stage's total, and a remark."""


def quiet(stage: str, done: int, total: int, remark: str = "") -> None:
    """A progress that says nothing."""
