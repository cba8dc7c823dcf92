"""An explanation as one HTML page that opens anywhere, offline, in the style of a study's report."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.studies.explanation.drawing import forest, group, scatter
from clampdown.studies.explanation.predictors import LABELS
from clampdown.studies.report import environment
from clampdown.writing import beside

SCHEMA = "clampdown-explanation/1"


def write_page(body: Mapping[str, Any], path: Path) -> None:
    """Write the page to `path`: a reader finds the old page or the new one there, never half of either.

    Raises:
        ClampdownError: it can't be written.
    """
    page = render_page(body).encode("utf-8", "replace")
    with beside(path) as part:
        part.write_bytes(page)


def render_page(body: Mapping[str, Any]) -> str:
    """The page as text. Raises ValueError where `body` is of another schema."""
    if body.get("schema") != SCHEMA:
        raise ValueError(f"a page is drawn from {SCHEMA!r}, not {body.get('schema')!r}")
    template = environment().get_template("explanation/page.html.j2")
    survey = body.get("survey") or {"settings": {}}
    chosen = {name: found["chosen"] for name, found in survey["settings"].items() if found["chosen"]}
    charts = {name: scatter(survey, name, LABELS[predictor]) for name, predictor in chosen.items()}
    page = template.render(
        b=body,
        by_name={row["name"]: row for row in body["variants"]},
        forest=forest(body["variants"]),
        scatters=charts,
        group=group,
        LABELS=LABELS,
    )
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", page)
