"""The sweeps behind the gate, put together from what was measured: the forced arm where it opened, else `none`.

A gate decides on the prompt alone, so a row under it is the row of the same arm with the gate forced open, or the
unsteered one. That gives the gated frontier without asking anything twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.recipe import Recipe
from clampdown.studies.arms import Arm
from clampdown.studies.gated import ENDS, LABELS
from clampdown.studies.measures import Rows, keyed, measures
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import is_column
from clampdown.studies.store import Row

_END = ENDS["recipe"]


def composed(
    arms: Sequence[Arm], sets: Sequence[ItemSet], rows: Rows, recipe: Recipe, gated: str, plan: Plan
) -> list[dict[str, Any]]:
    """{"name", "label", "group", "measures"} of each sweep's arm that ran with its gate forced open alone.

    gated: the name of the arm whose gate's decisions are taken. Prompts and questions by likelihood only; nothing where
    the recipe has a system prompt, for then a shut gate leaves that, and is not `none`.
    """
    names = {arm.name for arm in arms}
    if gated not in names or not gated.endswith(_END) or recipe.system_prompt:
        return []
    asked = [s for s in sets if (s.kind.is_prompts or s.kind is SetKind.CAPABILITY) and not is_column(s.name)]
    found = []
    for arm in arms:
        first = arm.recipes[0]
        forced = first is not None and first.gate is not None and first.gate.decide == "open"
        if not forced or arm.group == "control" or len(arm.recipes) > 1 or arm.name + _END in names:
            continue
        name = arm.name + _END
        mine = {(name, s.name): list(_rows(rows, arm.name, gated, s)) for s in asked}
        told = measures(replace(arm, name=name), asked, mine, plan.seed, room=plan.room)
        found.append({"name": name, "label": arm.label + LABELS["recipe"], "group": arm.group, "measures": told})
    return found


def _rows(rows: Rows, forced: str, gated: str, item_set: ItemSet) -> Iterator[Row]:
    by_key: Mapping[str, dict[tuple[int, int], Row]] = {
        arm: dict(keyed(rows[arm, item_set.name])) for arm in ("none", forced)
    }
    for key, row in keyed(rows[gated, item_set.name]):
        gate = row.decision or {}
        yield replace(by_key[forced if gate.get("open") else "none"][key], gate=row.gate)
