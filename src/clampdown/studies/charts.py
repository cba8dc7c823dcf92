"""The report's charts, drawn as inline SVG so that the page needs nothing but itself.

Colours are CSS variables of the page (`--g-clamp` and so on), so a chart follows the reader's light or dark
theme; a group also has its own shape, so a chart still reads in greyscale and to colour-blind eyes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from clampdown.studies.chart_names import Box, Named, Spot, place

GROUPS = ("none", "clamp", "baseline", "control")
WIDTH, HEIGHT = 400.0, 384.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 388.0, 38.0, 336.0
NAMES: Box = (LEFT + 1, TOP - 14, WIDTH - 1, BOTTOM - 1)
"""Where names may stand."""


@dataclass(frozen=True)
class Point:
    """One arm on a chart. Positions are fractions (0 to 1); a bound that is None draws no bar on that side."""

    label: str
    group: str
    x: float
    y: float
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    hollow: bool = False
    chosen: bool = False
    sweep: str | None = None  # points that share a sweep are joined, in the order given
    tip: str = ""
    arm: str = ""  # its name, for a page that does something with a point


@dataclass(frozen=True)
class Axis:
    """A straight map from fractions to picture units, with its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def axis(values: Iterable[float], start: float, end: float, *, from_zero: bool, full: bool = False) -> Axis:
    """An axis wide enough for `values`, ending on round percentages, with at most six steps."""
    seen = list(values) or [0.0, 1.0]
    low, high = (0.0, 1.0) if full else (0.0 if from_zero else min(seen), max(seen))
    high = max(high, low + 0.05)
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
    step = next((s for s in steps if (high - low) / s <= 5.01), 0.25)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 4) for i in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def shape(group: str, x: float, y: float, r: float, *, hollow: bool = False) -> Markup:
    """A group's marker: diamond for no steering, disc for clamps, triangle for baselines, square for controls."""
    group = group if group in GROUPS else "control"
    css = f'class="m g-{group}{" hollow" if hollow else ""}"'
    if group == "clamp":
        return Markup(f'<circle {css} cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>')
    corners = {
        "none": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
        "baseline": ((0, -1.25), (1.2, 0.9), (-1.2, 0.9)),
        "control": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    }[group]
    path = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in corners)
    return Markup(f'<polygon {css} points="{path}"/>')


def swatch(group: str, *, hollow: bool = False) -> Markup:
    """The marker alone, for legends and table rows."""
    mark = shape(group, 8, 8, 5, hollow=hollow)
    return Markup(f'<svg class="swatch" viewBox="0 0 16 16" aria-hidden="true">{mark}</svg>')


def scatter(points: Sequence[Point], *, x_title: str, y_title: str, name: str, from_zero: bool = True) -> Markup:
    """Arms as points with 95% bars both ways. y always runs from 0 to 100%, x only as far as the data need."""
    across, up = _axes(points, from_zero)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escape(name)}">',
        *_frame(across, up, x_title, y_title),
        *_sweeps(points, across, up),
        *(bar for p in points for bar in _bars(p, across, up)),
        *_names(points, across, up).values(),  # on paper of their own, so below the marks
    ]
    # Controls first and the chosen arm last, so that what matters is drawn on top.
    rank = {"control": 0, "baseline": 1, "clamp": 2, "none": 3}
    for p in sorted(points, key=lambda p: (p.chosen, rank.get(p.group, 0))):
        parts += _mark(p, across, up)
    return Markup("".join(parts) + "</svg>")


def unnamed(points: Sequence[Point], *, from_zero: bool = True) -> list[Point]:
    """The points that `scatter` finds no room to name, from the highest down."""
    names = _names(points, *_axes(points, from_zero))
    return sorted((p for i, p in enumerate(points) if i not in names), key=lambda p: (-p.y, p.x))


def _axes(points: Sequence[Point], from_zero: bool) -> tuple[Axis, Axis]:
    xs = [v for p in points for v in (p.x, p.x_low, p.x_high) if v is not None]
    across = axis(xs, LEFT, RIGHT, from_zero=from_zero)
    return across, axis((), BOTTOM, TOP, from_zero=True, full=True)


def _frame(across: Axis, up: Axis, x_title: str, y_title: str) -> Iterator[str]:
    for t in up.ticks:
        y = up.at(t)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * t:.0f}</text>'
    for t in across.ticks:
        x = across.at(t)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{BOTTOM + 17}" text-anchor="middle">{100 * t:.0f}</text>'
    yield f'<text class="axis" x="4" y="16">{escape(y_title)}</text>'
    yield f'<text class="axis" x="{RIGHT}" y="{BOTTOM + 39}" text-anchor="end">{escape(x_title)}</text>'


def _sweeps(points: Sequence[Point], across: Axis, up: Axis) -> Iterator[str]:
    for run in _runs(points, across, up):
        group, spots = run
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        yield f'<polyline class="sweep g-{group}" points="{path}"/>'


def _runs(points: Sequence[Point], across: Axis, up: Axis) -> Iterator[tuple[str, list[Spot]]]:
    for sweep in dict.fromkeys(p.sweep for p in points if p.sweep is not None):
        members = [p for p in points if p.sweep == sweep]
        if len(members) > 1:
            group = members[0].group if members[0].group in GROUPS else "control"
            yield group, [(across.at(p.x), up.at(p.y)) for p in members]


def _bars(p: Point, across: Axis, up: Axis) -> Iterator[str]:
    css = f"bar g-{p.group if p.group in GROUPS else 'control'}"
    for (x1, y1), (x2, y2) in _ends(p, across, up):
        yield f'<line class="{css}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _ends(p: Point, across: Axis, up: Axis) -> Iterator[tuple[Spot, Spot]]:
    """Where a point's bars begin and end."""
    x, y = across.at(p.x), up.at(p.y)
    if p.x_low is not None and p.x_high is not None:
        yield (across.at(p.x_low), y), (across.at(p.x_high), y)
    if p.y_low is not None and p.y_high is not None:
        yield (x, up.at(p.y_low)), (x, up.at(p.y_high))


def _mark(p: Point, across: Axis, up: Axis) -> Iterator[str]:
    x, y = across.at(p.x), up.at(p.y)
    named = f' data-arm="{escape(p.arm)}"' if p.arm else ""
    yield f'<g class="pt{" chosen" if p.chosen else ""}"{named}><title>{escape(p.tip or p.label)}</title>'
    if p.chosen:
        yield f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="9.5"/>'
    yield shape(p.group, x, y, 4.0 if p.group not in GROUPS[:3] else 5.0, hollow=p.hollow)
    yield "</g>"


def _names(points: Sequence[Point], across: Axis, up: Axis) -> dict[int, Markup]:
    """The names that find room, by their points' places; the important ones choose first."""
    lines = [pair for _, run in _runs(points, across, up) for pair in pairwise(run)]
    lines += [ends for p in points for ends in _ends(p, across, up)]
    order = sorted(range(len(points)), key=lambda i: _importance(points[i]))
    wanted = [
        # Controls huddle together; a name on a long line there would mislead more than it tells.
        Named(p.label, (across.at(p.x), up.at(p.y)), p.chosen, p.group in GROUPS[:3])
        for p in (points[i] for i in order)
    ]
    return {order[number]: svg for number, svg in place(wanted, NAMES, lines).items()}


def _importance(p: Point) -> tuple[int, int]:
    first = 0 if p.chosen else 1 if p.group == "none" else 2
    return first, {"clamp": 0, "baseline": 1}.get(p.group, 2)


def strip(rows: Sequence[tuple[str, float | None, float | None, float | None]], *, name: str) -> Markup:
    """Two or three intervals under each other on a 0-100% line: (group, value, low, high) a row."""
    parts = [f'<svg class="strip" viewBox="0 0 240 {14 * len(rows) + 4}" role="img" aria-label="{escape(name)}">']
    for i, (group, value, low, high) in enumerate(rows):
        y = 9.0 + 14 * i
        parts.append(f'<line class="rail" x1="6" x2="234" y1="{y}" y2="{y}"/>')
        if low is not None and high is not None:
            ends = f'x1="{6 + 228 * low:.1f}" x2="{6 + 228 * high:.1f}" y1="{y}" y2="{y}"'
            parts.append(f'<line class="span g-{group}" {ends}/>')
        if value is not None:
            parts.append(shape(group, 6 + 228 * value, y, 4))
    return Markup("".join(parts) + "</svg>")
