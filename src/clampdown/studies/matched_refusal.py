"""The clamp against the difference in means at the same share of unsafe requests refused."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from clampdown.measuring.sets.kinds import SetKind
from clampdown.studies.measures import leading

_NAME = re.compile(r"difference-in-means-([\d.]+(?:e[+-]?\d+)?)(-gated)?")


class Point(NamedTuple):
    """An operating point: a strength, and each set's headline value there."""

    strength: float
    label: str
    values: dict[str, float]


def matched(
    arms: Sequence[Mapping[str, Any]], chosen: str, sets: Sequence[Mapping[str, Any]], *, room: bool = False
) -> list[dict[str, Any]]:
    """One sentence ({"text", ...}) for the arm called `chosen`, from the results' own arms and sets.

    An arm behind a gate is compared with the baseline behind the same one. The baseline's costs are interpolated
    linearly in strength, no steering being strength 0, to the first strength at which it refuses as many unsafe
    requests as the arm does, coherently where answers had room to end. Empty where there is nothing to compare.
    """
    unsafe = next((s["name"] for s in sets if s["kind"] == SetKind.UNSAFE), None)
    arm = next((a for a in arms if a["name"] == chosen), None)
    line, metric = _line(arms, room, gated=chosen.endswith("-gated")), leading(SetKind.UNSAFE, room)
    how = " coherently" if metric == "coherent_refusal" else ""
    if arm is None or unsafe is None or len(line) < 2:
        return []
    own, behind = _values(arm, room), " behind the same gate" if chosen.endswith("-gated") else ""
    if any(unsafe not in point.values for point in line) or unsafe not in own:
        return []
    target = own[unsafe]
    if target <= line[0].values[unsafe]:
        text = f"{arm['label']} refuses no more unsafe requests{how} than no steering: there is nothing to match."
        return [{"text": text}]
    for low, high in pairwise(line):
        a, b = low.values[unsafe], high.values[unsafe]
        if min(a, b) <= target <= max(a, b) and a != b:
            told = _sentence(arm["label"], own, low, high, (target - a) / (b - a), unsafe, sets, how, behind)
            return [told | {metric: target}]
    most = max(point.values[unsafe] for point in line)
    reached = f"the strengths tried refuse between {_percent(line[0].values[unsafe])} and {_percent(most)}"
    text = f"{arm['label']} refuses {_percent(target)} of unsafe requests{how}. The difference in means{behind} could "
    return [{"text": f"{text}not be matched to that: {reached}."}]


def _line(arms: Sequence[Mapping[str, Any]], room: bool, *, gated: bool) -> list[Point]:
    """No steering, then the differences in means by strength; those behind the gate, or those that are not."""
    found = []
    for arm in arms:
        strength = _NAME.fullmatch(arm["name"])
        if arm["name"] == "none" or (strength and bool(strength[2]) == gated):
            found.append(Point(float(strength[1]) if strength else 0.0, arm["label"], _values(arm, room)))
    return sorted(found, key=lambda point: point.strength)


def _values(arm: Mapping[str, Any], room: bool) -> dict[str, float]:
    wanted = {SetKind.CAPABILITY: "accuracy", SetKind.TEXT: "bits_per_byte"}
    named = [(m, wanted.get(m["kind"]) or leading(m["kind"], room)) for m in arm["measures"]]
    return {m["set"]: m["value"] for m, metric in named if m["metric"] == metric and m["value"] is not None}


def _sentence(
    label: str,
    own: Mapping[str, float],
    low: Point,
    high: Point,
    share: float,
    unsafe: str,
    sets: Sequence[Mapping[str, Any]],
    how: str,
    behind: str,
) -> dict[str, Any]:
    strength = low.strength + share * (high.strength - low.strength)
    costs = []
    for item_set in sets:
        name, kind = item_set["name"], SetKind(item_set["kind"])
        if (
            kind is SetKind.TEXT
            or kind.wants_refusal
            or not all(name in p.values for p in (low, high))
            or name not in own
        ):
            continue
        there = low.values[name] + share * (high.values[name] - low.values[name])
        verb = "answers right" if kind is SetKind.CAPABILITY else "refuses"
        costs.append({"set": name, "kind": kind.value, "verb": verb, "own": own[name], "baseline": there})
    told = "; ".join(
        f"{cost['verb']} {_percent(cost['own'])} of {cost['set']} against {_percent(cost['baseline'])} "
        f"({_points(cost['own'] - cost['baseline'])} points)"
        for cost in costs
    )
    return {
        "text": f"At the same {_percent(own[unsafe])} of unsafe requests refused{how}, {label} beside the difference "
        f"in means{behind} at strength {strength:.2f} (linear interpolation between {low.strength:g} and "
        f"{high.strength:g}; no interval): {told}.",
        "strength": strength,
        "costs": [{key: cost[key] for key in ("set", "kind", "own", "baseline")} for cost in costs],
    }


def _percent(value: float) -> str:
    return f"{100 * value:.0f}%"


def _points(value: float) -> str:
    return f"{100 * value:+.0f}".replace("-", "−")
