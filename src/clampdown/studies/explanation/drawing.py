"""The page's charts as inline SVG: each push's loss with its interval, and the survey's losses against a predictor."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from clampdown.studies.charts import shape

_GROUPS = {"edit": "clamp", "edit-prompt": "clamp", "edit-answer": "clamp"}
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 400.0, 14.0, 386.0, 42.0, 10.0


def group(name: str) -> str:
    """The report's group that a push is drawn as: the edit as a clamp, all else as a control."""
    return _GROUPS.get(name, "control")


def forest(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """One line a push: the fall of the margin, and its 95% interval."""
    bounds = [_bounds(row["margin_fall"]) for row in rows]
    low, high = min(0.0, *(b[1] for b in bounds)), max(0.1, *(b[2] for b in bounds))
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def at(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)

    bottom = _TOP + _ROW * len(rows)
    height = bottom + 40
    parts = [
        f'<svg class="chart forest" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="Fall of the margin under each push, with its interval">'
    ]
    for tick in ticks:
        x = at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom:.1f}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{_plain(tick)}</text>')
    parts.append(f'<line class="rail" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="{_TOP}" y2="{bottom:.1f}"/>')
    for number, (row, (value, least, most)) in enumerate(zip(rows, bounds, strict=True)):
        y, css = _TOP + _ROW * (number + 0.7), group(row["name"])
        strong = "chosen name" if row["name"] == "edit" else "name"
        parts.append(f'<text class="{strong}" x="{_LEFT}" y="{y - 11:.1f}">{escape(row["label"])}</text>')
        parts.append(f'<line class="span g-{css}" x1="{at(least):.1f}" x2="{at(most):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(str(shape(css, at(value), y, 5.5, hollow=not row["matched"])))
    title = "the right choice’s margin falls by, nats (left is better)"
    parts.append(f'<text class="axis" x="{_RIGHT}" y="{bottom + 35:.1f}" text-anchor="end">{title}</text>')
    return Markup("".join(parts) + "</svg>")


def scatter(found: Mapping[str, Any], setting: str, label: str) -> Markup:
    """The survey's drawn latents, and the recipe's own: the loss against the chosen predictor's value."""
    chosen = found["settings"][setting]["chosen"]
    points = [
        (own["predictors"][chosen], own["loss"], one["why"], one["latent"])
        for one in found["latents"]
        if (own := one[setting])["predictors"].get(chosen) is not None
    ]
    xs, ys = [math.log10(max(1e-9, p[0])) for p in points], [p[1] for p in points]
    left, right, top, bottom = 42.0, 388.0, 30.0, 300.0
    ticks = _ticks(min(0.0, *ys), max(ys))
    low, high = ticks[0], max(ticks[-1], max(ys))
    first, last = math.floor(10 * min(xs)) / 10, math.ceil(10 * max(xs)) / 10 + 1e-9

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + (x - first) / max(1e-9, last - first) * (right - left)
        return across, bottom - (y - low) / max(1e-9, high - low) * (bottom - top)

    parts = [f'<svg class="chart" viewBox="0 0 400 346" role="img" aria-label="Loss against {escape(label)}">']
    for tick in ticks:
        y = place(first, tick)[1]
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{_plain(tick)}</text>')
    for share in (0.02, 0.35, 0.68, 0.98):
        x = first + share * (last - first)
        anchor = "start" if share < 0.1 else "end" if share > 0.9 else "middle"
        across = place(x, low)[0]
        parts.append(f'<text class="tick" x="{across:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{10**x:.2g}</text>')
    order = sorted(zip(xs, points, strict=True), key=lambda pair: pair[1][2] != "drawn")
    for x, (_, y, why, latent) in order:
        across, up = place(x, y)
        css = "control" if why == "drawn" else "clamp" if why == "recipe" else "baseline"
        mark = shape(css, across, up, 3.2 if why == "drawn" else 5)
        parts.append(f"<g><title>latent {latent}: loss {y:.2f} nats</title>{mark}</g>")
    parts.append('<text class="axis" x="4" y="14">fall of the margin, nats</text>')
    parts.append(
        f'<text class="axis" x="{right}" y="{bottom + 37}" text-anchor="end">{escape(label)} (log scale)</text>'
    )
    return Markup("".join(parts) + "</svg>")


def _bounds(found: Mapping[str, Any]) -> tuple[float, float, float]:
    value = found["value"]
    return value, *(value if found[key] is None else found[key] for key in ("low", "high"))


def _ticks(low: float, high: float) -> list[float]:
    """Round values from at most `low` to about `high`, some five steps."""
    rough = max(high - low, 1e-6) / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [round(n * step, 9) for n in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")
