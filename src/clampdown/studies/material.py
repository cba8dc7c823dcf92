"""The items a study asks: the reporting half of the built-in sets, or the user's own sets, whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.measuring.named.finding import find_set
from clampdown.measuring.sets import ItemSet, builtin_set
from clampdown.studies.plan import Plan


def study_sets(plan: Plan, paths: Mapping[str, Sequence[Path]] | None = None) -> list[ItemSet]:
    """The sets of a study, each with at most the plan's number of items, drawn by its seed.

    A kind named in `paths` is measured on those files or named sets, whole: nothing was selected on them. Every other
    kind of the plan is measured on the reporting half of the built-in set.

    Raises:
        ClampdownError: a file can't be read, or holds no item of its kind.
    """
    named = paths or {}
    chosen: list[ItemSet] = []
    for kind in {**plan.items, **named}:
        found = [find_set(kind, path) for path in named.get(kind, ())] or [builtin_set(kind).half("report")]
        for item_set in found:
            _check_choices(item_set)
        chosen += [item_set.sample(plan.limit(kind), plan.seed) for item_set in found]
    return _distinct(chosen)


def selecting_prompts(kind: str, count: int, seed: int) -> list[str]:
    """Prompts that no report uses: drawn by seed from the selecting half of the built-in set of a kind."""
    return [item.text for item in builtin_set(kind).half("select").sample(count, seed).items]


def _check_choices(item_set: ItemSet) -> None:
    if any(item.target for item in item_set.items):
        raise ClampdownError(
            f"set {item_set.name} has answers in words, which the likelihood of choices can't score; leave it out"
        )


def _distinct(sets: Sequence[ItemSet]) -> list[ItemSet]:
    """The sets under names that differ: two files may be called the same."""
    used: dict[str, int] = {}
    found = []
    for item_set in sets:
        used[item_set.name] = times = used.get(item_set.name, 0) + 1
        found.append(item_set if times == 1 else replace(item_set, name=f"{item_set.name} ({times})"))
    return found
