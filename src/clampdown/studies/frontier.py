"""A study's frontier for those who would try its points: the report's charts, and the recipe behind each point."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.recipe import Recipe
from clampdown.studies.gated import ENDS
from clampdown.studies.record import Record, read_record
from clampdown.studies.report import Study
from clampdown.studies.results import results


def read_frontier(path: Path) -> dict[str, Any]:
    """The frontier of a study, by its folder or its database: {"study", "title", "created", "charts", "points"}.

    A chart is {"kind", "set", "unsafe", "svg"}; in its SVG each point names its arm as `data-arm`. A point is {"name",
    "label", "group", "description", "recipe", "why"}: a Recipe, or None with why there is none to load. The arm
    without steering has neither.

    Raises:
        ClampdownError: there is no study, or its first arms are not finished.
    """
    record = read_record(path)
    told = results(record, {arm.name: [arm.name] for arm in record.arms})
    study = Study(told)
    charts = [
        {key: chart[key] for key in ("kind", "set", "unsafe")} | {"svg": str(chart["svg"])}
        for chart in study.frontier()
        if chart["lead"]
    ]
    points = [_point(record, arm) for arm in (*study.arms, *study.composed)]
    about = {"study": record.name, "title": told["title"], "created": told["created"]}
    return about | {"charts": charts, "points": points}


def _point(record: Record, told: Mapping[str, Any]) -> dict[str, Any]:
    """One arm. One that was put together from two is the arm that ran forced open, its gate now asked."""
    by_name = {arm.name: arm for arm in record.arms}
    ran = by_name.get(told["name"])
    arm = ran or by_name[told["name"].removesuffix(ENDS["recipe"])]
    recipe: Recipe | None = arm.recipes[0]
    why = ""
    if recipe is not None and ran is None:
        recipe = recipe.deciding("score")
    if arm.instead:
        recipe, why = None, "what this arm does in place of edits is not served"
    elif len(arm.recipes) > 1:
        why = f"the first of {len(arm.recipes)} draws"
    about = {"name": told["name"], "label": told["label"], "group": told["group"], "description": arm.description}
    return about | {"recipe": recipe, "why": why}
