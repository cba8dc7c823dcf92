"""A study's batches done by workers elsewhere: what each is told, and what goes before what."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from clampdown.engine.cluster import Cluster
from clampdown.engine.tasks import Task, Tasks
from clampdown.engine.workers import pool
from clampdown.measuring.judging.outside_gate import OutsideGate, decides_outside
from clampdown.measuring.sets.sets import ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress
from clampdown.studies.arms import Arm
from clampdown.studies.batches import Batch, decisive, together
from clampdown.studies.environment import environment
from clampdown.studies.plan import Plan
from clampdown.studies.store import Row
from clampdown.studies.worker import Done, Found, Worker

Kept = Mapping[str, Sequence[Row]]
"""The rows of `none` by the name of their set."""


class Told(NamedTuple):
    """What a worker is told of one group of batches: which it is, and what `none` answered to the same items."""

    number: int
    kept: Kept


@dataclass(frozen=True)
class StudyErrand:
    """All that the workers of a study need; see `engine.workers.Errand`.

    began: for a chat template that writes the date.
    groups: batches that are run at once.
    """

    began: datetime
    arms: Sequence[Arm]
    plan: Plan
    groups: Sequence[Sequence[Batch]]
    outside: OutsideGate | None = None

    def facts(self, model: ChatModel) -> Mapping[str, Any]:
        """What decides all rows alike."""
        made = environment(model)
        told = {key: made[key] for key in ("clampdown", "torch", "transformers", "dtype", "device", "threads")}
        return told | {"model": model.sha256[:12], "chat template or way to end an answer": decisive(model)}

    def begin(self, model: ChatModel) -> Callable[[Told], list[Found]]:
        """One `Worker` for all that comes."""
        kept: dict[str, Sequence[Row]] = {}
        worker = Worker(model.at(self.began), self.arms, self.plan, lambda _, name: kept.get(name, ()), self.outside)

        def do(told: Told) -> list[Found]:
            kept.clear()
            kept.update(told.kept)
            return worker.do(self.groups[told.number])

        return do


def spread(
    cluster: Cluster,
    model: ChatModel,
    errand: StudyErrand,
    sets: Sequence[ItemSet],
    rows: Callable[[str, str], Sequence[Row]],
    progress: Progress,
) -> Generator[Done, None, None]:
    """The groups as workers finish them, in any order.

    sets: the plain ones, without columns.
    rows: the finished rows of an arm on a set, by their names; those of what was handed over are among them.

    Raises:
        ClampdownError: as `engine.workers.pool` and its results do.
    """
    _decide_first(errand, sets)
    tasks = Tasks(_tasks(errand.groups, rows))
    with pool(cluster, model, errand, progress) as workers:
        for task, found, took in workers.results(tasks):
            yield Done(errand.groups[task.number], found, took)


def _tasks(groups: Sequence[Sequence[Batch]], rows: Callable[[str, str], Sequence[Row]]) -> Iterator[Task]:
    """What stands in for edits goes by what `none` answered (see `Worker`), so that comes first."""
    unsteered = {
        number: _names(group) for number, group in enumerate(groups) if any(b.arm.name == "none" for b in group)
    }
    for number, group in enumerate(groups):
        names = _names(group) if group[0].arm.instead and not group[0].column else set()
        after = frozenset(other for other, asked in unsteered.items() if asked & names)

        def given(number: int = number, names: set[str] = names) -> Told:
            return Told(number, {name: list(rows("none", name)) for name in sorted(names)})

        yield Task(number, group[0].title, given, (group[0].kind, together(group[0])), after)


def _names(group: Sequence[Batch]) -> set[str]:
    return {item_set.name for batch in group for item_set, _ in batch.asked}


def _decide_first(errand: StudyErrand, sets: Sequence[ItemSet]) -> None:
    """Ask who decides outside here and once, so that all workers go by one decision on each item."""
    deciding = any(decides_outside(recipe) for arm in errand.arms for recipe in arm.recipes)
    if errand.outside is not None and deciding and errand.groups:
        chats = [[{"role": "user", "content": item.text}] for item_set in sets for item in item_set.items]
        errand.outside.decide(chats)
