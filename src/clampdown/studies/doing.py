"""A study's batches done one after the other in this process, and what any process gave kept in its database."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence

from clampdown.measuring.sets.sets import ItemSet
from clampdown.progress import Progress
from clampdown.studies.batches import Batch
from clampdown.studies.measures import receipt
from clampdown.studies.store import Finished, Store
from clampdown.studies.worker import Done, Found, Worker


def alone(
    worker: Worker, groups: Sequence[Sequence[Batch]], total: int, progress: Progress
) -> Generator[Done, None, None]:
    """Groups of batches that are run at once, in their order."""
    for group in groups:
        progress("study", 0, total, _title(group))
        start = time.monotonic()
        found = worker.do(group)
        yield Done(group, found, time.monotonic() - start)


def keep(
    store: Store,
    doing: Iterable[Done],
    sets: Sequence[ItemSet],
    total: int,
    progress: Progress,
    soon: set[int],
    early: Callable[[], None] | None,
) -> None:
    """Keep what batches gave, as it comes. Those that are run at once are kept at once, so they stay together.

    early: called once no group is left whose id is in `soon`.
    """
    if early and not soon:
        early()
    for group, found, took in doing:
        for batch, rows in zip(group, found, strict=True):
            _check_steered(batch, rows, sets)
        done = zip(group, found, strict=True)
        store.add_all([Finished(batch.key, batch.arm.name, batch.number, rows) for batch, rows in done], took)
        progress("study", sum(batch.cost for batch in group), total, _title(group))
        if id(group) in soon:
            soon.remove(id(group))
            if early and not soon:
                early()


def waiting(progress: Progress, total: int) -> Progress:
    """What workers elsewhere tell, as the study's own progress: they tell of no work that is done."""
    return lambda stage, done, of, remark: progress("study", 0, total, remark)


def _title(group: Sequence[Batch]) -> str:
    return group[0].title if len(group) == 1 else f"{len(group)} arms: {group[0].what}"


def _check_steered(batch: Batch, found: Found, sets: Sequence[ItemSet]) -> None:
    """Stop at the first batch that should be steered and is not, rather than after hours."""
    receipt(batch.arm, sets, {(batch.arm.name, name): rows for name, rows in found.items()})
