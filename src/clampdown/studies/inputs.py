"""What a study asks: the reporting half of the built-in sets, or the user's own sets, whole; attacks and tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.named import NAMED
from clampdown.measuring.sets.named.finding import reported_set
from clampdown.measuring.sets.sets import LETTERS, LM_EVAL, ItemSet, builtin_set
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import is_column

if TYPE_CHECKING:
    from clampdown.measuring.attacks.spec import AttackSpec
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings
    from clampdown.studies.probes.base import Column


def study_sets(plan: Plan, paths: Mapping[str, Sequence[Path]] | None = None) -> list[ItemSet]:
    """The plain sets of a study, each with at most the plan's number of items, drawn by its seed.

    A kind named in `paths` is measured on those files or named sets, whole: nothing was selected on them. Every other
    kind of the plan is measured on the reporting half of the built-in set; so is one whose path is that set's name.
    What `study_columns` makes is left out.

    Raises:
        ClampdownError: a file can't be read, or holds no item of its kind.
    """
    named = paths or {}
    chosen: list[ItemSet] = []
    for kind in {**plan.items, **named}:
        mine = [path for path in named.get(kind, ()) if not is_column(str(path))]
        for path in mine:
            _check_words(str(path))
        found = [reported_set(kind, path) for path in mine]
        if not named.get(kind):
            found = [builtin_set(kind).half("report")]
        for item_set in found:
            _check_choices(item_set)
        chosen += [item_set.sample(plan.limit(kind), plan.seed) for item_set in found]
    return [replace(item_set, name=name) for name, item_set in _distinct(chosen)]


def study_columns(
    plan: Plan,
    paths: Mapping[str, Sequence[Path]] | None = None,
    attacks: Sequence["AttackSpec"] = (),
    tasks: "TaskSettings | None" = None,
) -> "list[Column]":
    """The columns of a study: the capability sets in `paths` that are tasks or answered in words, then the attacks.

    Raises:
        ClampdownError: a file can't be read, a task can't be loaded, or a column is named as another kind of set.
    """
    named: list[Column] = []
    for kind, some in (paths or {}).items():
        for path in filter(is_column, map(str, some)):
            if kind != SetKind.CAPABILITY:
                raise ClampdownError(f"{path} is a capability set; pass it as capability, not {kind}")
            named.append(_named(path, plan, tasks))
    for spec in attacks:
        from clampdown.studies.probes.attacks import attack_columns

        named += attack_columns(spec)
    found = _distinct([column.item_set for column in named])
    return [_renamed(column, name) for column, (name, _) in zip(named, found, strict=True)]


def _named(name: str, plan: Plan, tasks: "TaskSettings | None") -> "Column":
    """The column that a capability set's name stands for; lm-eval and torch load where they are needed."""
    if name.startswith(LM_EVAL):
        from clampdown.studies.probes.lm_eval import task_column

        return task_column(name, plan, tasks)
    from clampdown.studies.probes.letters import letter_column

    _check_words(name.removeprefix(LETTERS))
    return letter_column(name, plan)


def _renamed(column: Any, name: str) -> "Column":
    return column if column.item_set.name == name else replace(column, item_set=replace(column.item_set, name=name))


def _check_choices(item_set: ItemSet) -> None:
    if any(item.target for item in item_set.items):
        raise ClampdownError(
            f"set {item_set.name} has answers in words, which the likelihood of choices can't score; leave it out"
        )


def _check_words(name: str) -> None:
    """Tell of a public set whose questions have no choices before it is fetched."""
    named = NAMED.get(name.partition("=")[0])
    if named and named.columns.target and not Path(name).expanduser().is_file():
        raise ClampdownError(f"set {named.name} has answers in words, not choices; measure it as {LM_EVAL}{named.name}")


def _distinct(sets: Sequence[ItemSet]) -> Iterator[tuple[str, ItemSet]]:
    """The sets, with names that differ: two files may be called the same."""
    used: dict[str, int] = {}
    for item_set in sets:
        used[item_set.name] = times = used.get(item_set.name, 0) + 1
        yield item_set.name if times == 1 else f"{item_set.name} ({times})", item_set
