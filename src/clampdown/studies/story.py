"""What a report's first screen says after its figures: what mends the cost, and what to do next."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clampdown.measuring.sets.kinds import SetKind
from clampdown.studies.wording import known, percent

if TYPE_CHECKING:
    from clampdown.studies.report import Study

DEAR = 0.05
"""A cost of 5 points or more is one to mend."""
FEW = 30
"""With fewer unsafe requests than this an interval spans a third of the scale."""
_VERBS = {"safe": "ordinary requests refused", "lookalike": "look-alikes refused", "capability": "questions right"}


def mends(study: "Study") -> str:
    """What takes the cost away, as far as this study saw it; empty where no arm is recommended."""
    if study.recommended is None:
        return ""
    if study.opened is not None:
        return _what_the_gate_does(study)
    if study.recommended.get("gate"):
        return "A gate decides here; no arm of this study ran without it, so what it spares is not told."
    costs = _costs(study, study.recommended)
    if not costs:
        return "What it costs was not measured."
    if max(costs) < DEAR:
        return "Nothing needs mending that these items can tell: each cost is below 5 points."
    return (
        "A gate, which leaves the model alone where a prompt is harmless, takes most of such a cost away; this recipe "
        "has none. The cost here is that of steering every prompt."
    )


def next_steps(study: "Study", results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do now: (why, command), the command empty where there is none."""
    chosen, found = study.recommended, []
    if study.missing:
        found.append(("Let it end: the same `clampdown study` goes on where it was.", ""))
    if chosen is None:
        return found
    path = str((results.get("recommended") or {}).get("path") or "RECIPE")
    recipe = shlex.quote(path)
    found.append(("Talk to it.", f"clampdown chat --recipe {recipe}"))
    costs = _costs(study, chosen)
    if not chosen.get("gate") and costs and max(costs) >= DEAR:
        found.append(("Give it a gate, and study that.", f"clampdown gate fit {recipe} --out gated.toml"))
    sizes = [_n(study, kind) for kind in (SetKind.UNSAFE, SetKind.SAFE)]
    smallest = min((n for n in sizes if n is not None), default=None)
    if smallest is not None and smallest < FEW and (results.get("plan") or {}).get("name") == "quick":
        why = f"Ask more: {smallest} requests of a kind leave much open."
        found.append((why, f"clampdown study {recipe} --plan full"))
    if not study.attacks():
        found.append(("See whether it holds when someone tries.", f"clampdown study {recipe} --attack best-of-n"))
    return found


def _what_the_gate_does(study: "Study") -> str:
    """The recommended arm beside itself with its gate forced open."""
    told = []
    for kind, what in _VERBS.items():
        for name in study.named(kind)[:1]:
            metric = study.lead(kind)
            opened, behind = (study.measure(arm, name, metric) for arm in (study.opened, study.recommended))
            if known(opened.get("value")) and known(behind.get("value")):
                told.append(f"{what} {percent(opened['value'])} → {percent(behind['value'])}")
    if not told:
        return "Its gate; what that spares was not measured."
    spared = ", ".join(told)
    return f"Its gate, which leaves the model alone where a prompt is harmless. Forced open → left to decide: {spared}."


def _costs(study: "Study", arm: Mapping[str, Any]) -> list[float]:
    """What an arm costs, of each kind that was measured."""
    return [cost for kind in _VERBS if (cost := _cost(study, arm, kind)) is not None]


def _cost(study: "Study", arm: Mapping[str, Any], kind: str) -> float | None:
    """How much worse an arm is than no steering on the first set of a kind."""
    for name in study.named(kind)[:1]:
        mine, none = (study.measure(one, name, study.lead(kind)).get("value") for one in (arm, study.none))
        if known(mine) and known(none):
            return float(none) - float(mine) if kind == SetKind.CAPABILITY else float(mine) - float(none)
    return None


def _n(study: "Study", kind: str) -> int | None:
    for name in study.named(kind)[:1]:
        n = study.measure(study.recommended, name, study.lead(kind)).get("n")
        return int(n) if known(n) else None
    return None
