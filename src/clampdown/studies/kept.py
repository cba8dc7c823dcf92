"""What a study's database keeps, and what must hold of it; where it does not, one of `damage.FAULTS` is raised."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clampdown.measuring.judging.default.judge import Label
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.recipe import Recipe
from clampdown.studies.arms import Arm, recommended_name
from clampdown.studies.damage import checked, require
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import is_column
from clampdown.studies.store import Row

ABOUT: dict[str, Any] = {
    "created": str,
    "environment": Mapping[str, str | int | None],
    "plan": Mapping[str, Any],
    "model": Mapping[str, str],
    "recipe": Mapping[str, Any],
    "latents": Sequence[Mapping[str, Any]] | None,
    "template": Mapping[str, str | None] | None,
}
"""What is kept of a study besides its arms, its sets and its rows, and what kind of thing each is."""
IDENTITY = Mapping[str, str | int | Mapping[str, Any]]


def kept_set(body: Mapping[str, Any]) -> ItemSet:
    """The set that a study asked."""
    items = tuple(checked(Item(**{**item, "choices": tuple(item["choices"])})) for item in body["items"])
    return checked(replace(ItemSet(**{**body, "items": ()}), items=items))


def check_names(arms: Sequence[Arm], sets: Sequence[ItemSet]) -> None:
    """Each name once; an arm's becomes a file's, so it must not lead out of the folder."""
    names = [arm.name for arm in arms]
    good = all(
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", name) and arm.recipes for name, arm in zip(names, arms, strict=True)
    )
    if not good or "none" not in names or len(set(names)) < len(names) or len({s.name for s in sets}) < len(sets):
        raise ValueError("its arms or sets are not those of a study")


def check_about(about: Mapping[str, Any], arms: Sequence[Arm]) -> None:
    """Each fact is of its kind, and one of the arms is the recipe as it is."""
    for key, kind in ABOUT.items():
        require(about[key], kind, key)
    plan = checked(Plan.from_dict(about["plan"]))
    if recommended_name(Recipe.from_dict(about["recipe"]), plan) not in {arm.name for arm in arms}:
        raise ValueError("no arm is the recipe as it is")
    for key in ("clampdown", "torch", "transformers", "dtype", "device"):
        require(about["environment"].get(key), str, f"environment's {key}")
    for key in ("name", "sha256"):
        require(about["model"].get(key), str, f"the model's {key}")


def check_rows(arm: Arm, item_set: ItemSet, rows: Sequence[Row]) -> None:
    """Every row belongs to an item and a draw, and holds what its kind of set is measured by."""
    for row in rows:
        good = 0 <= row.place < len(item_set.items) and row.item == item_set.items[row.place].id
        if not good or not 0 <= row.draw < len(arm.recipes):
            raise ValueError(f"{arm.name} answers item {row.item} of {item_set.name}, which is not there")
        if row.label is not None:
            Label(row.label)
        if item_set.kind.is_prompts:
            require((row.text, row.label), tuple[str, ...], "an answer")
        elif item_set.kind.is_attack:
            require(row.attack, Mapping[str, Any], "an attack")
        elif item_set.kind is SetKind.CAPABILITY and row.metrics is None and not is_column(item_set.name):
            require(row.scores or None, Sequence[float], "scores")
