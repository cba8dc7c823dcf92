"""Who gets which task: like to like, after what it needs, and again what was lost."""

import pytest

from clampdown.engine.tasks import Task, Tasks
from clampdown.errors import ClampdownError


def made(*tasks) -> Tasks:
    return Tasks(Task(number, f"task {number}", dict, alike, frozenset(after)) for number, alike, after in tasks)


def test_a_worker_goes_on_with_what_is_like_its_last_task_and_others_begin_elsewhere():
    tasks = made((0, "a", ()), (1, "a", ()), (2, "b", ()), (3, "b", ()))
    first, second = tasks.next(), tasks.next()
    assert (first.number, second.number) == (0, 2)
    tasks.done(second)
    assert tasks.next(second).number == 3
    assert tasks.next(None).number == 1  # nothing else is left, so it shares
    assert tasks.next(first) is None and tasks.left


def test_what_needs_another_waits_until_that_is_done():
    tasks = made((0, "a", ()), (1, "a", (0,)))
    first = tasks.next()
    assert tasks.next(first) is None and tasks.left
    tasks.done(first)
    assert tasks.next(first).number == 1


def test_a_lost_task_comes_back_first_and_is_given_up_the_third_time(one_line):
    tasks = made((0, "a", ()), (1, "b", ()))
    lost = tasks.next()
    for _ in range(2):
        tasks.lost(lost, "it died")
        lost = tasks.next()
        assert lost.number == 0
    with pytest.raises(ClampdownError) as caught:
        tasks.lost(lost, "it died")
    one_line(caught, "3 workers", "task 0", "it died", "kept")
    assert tasks.next().number == 1


def test_nothing_is_left_once_all_is_done():
    tasks = made((0, "a", ()), (1, "b", ()))
    for _ in range(2):
        tasks.done(tasks.next())
    assert not tasks.left
