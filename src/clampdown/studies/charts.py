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

GROUPS = ("none", "clamp", "baseline", "control")
WIDTH, HEIGHT = 400.0, 384.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 388.0, 38.0, 336.0
FONT = 12.0
LONGEST_LABEL = 22

Box = tuple[float, float, float, float]  # left, top, right, bottom
Spot = tuple[float, float]


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
    xs = [v for p in points for v in (p.x, p.x_low, p.x_high) if v is not None]
    across = axis(xs, LEFT, RIGHT, from_zero=from_zero)
    up = axis((), BOTTOM, TOP, from_zero=True, full=True)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escape(name)}">',
        *_frame(across, up, x_title, y_title),
        *_sweeps(points, across, up),
    ]
    # Controls first and the chosen arm last, so that what matters is drawn on top.
    rank = {"control": 0, "baseline": 1, "clamp": 2, "none": 3}
    for p in sorted(points, key=lambda p: (p.chosen, rank.get(p.group, 0))):
        parts += _point(p, across, up)
    parts += _labels(points, across, up)
    return Markup("".join(parts) + "</svg>")


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


def _point(p: Point, across: Axis, up: Axis) -> Iterator[str]:
    x, y = across.at(p.x), up.at(p.y)
    group = p.group if p.group in GROUPS else "control"
    named = f' data-arm="{escape(p.arm)}"' if p.arm else ""
    yield f'<g class="pt{" chosen" if p.chosen else ""}"{named}><title>{escape(p.tip or p.label)}</title>'
    bar = f'<line class="bar g-{group}"'
    if p.x_low is not None and p.x_high is not None:
        yield f'{bar} x1="{across.at(p.x_low):.1f}" x2="{across.at(p.x_high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    if p.y_low is not None and p.y_high is not None:
        yield f'{bar} x1="{x:.1f}" x2="{x:.1f}" y1="{up.at(p.y_low):.1f}" y2="{up.at(p.y_high):.1f}"/>'
    if p.chosen:
        yield f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="9.5"/>'
    yield shape(p.group, x, y, 4.0 if group == "control" else 5.0, hollow=p.hollow)
    yield "</g>"


def _labels(points: Sequence[Point], across: Axis, up: Axis) -> Iterator[str]:
    """Names beside their points, the important ones first; a name that fits nowhere is left to the tooltip."""
    spots = [(across.at(p.x), up.at(p.y)) for p in points]
    marks: list[Box] = [_around(s, 10.5 if p.chosen else 6.0) for s, p in zip(spots, points, strict=True)]
    lines = [pair for _, run in _runs(points, across, up) for pair in pairwise(run)]
    taken: list[Box] = []
    faint = [spot for start, end in lines for spot in _along(start, end)]
    order = sorted(range(len(points)), key=lambda i: _importance(points[i]))
    for i in order:
        text = shortened(points[i].label, LONGEST_LABEL)
        # Controls huddle together; a name on a long line there would mislead more than it tells.
        reach = 1 if points[i].group == "control" else 7
        gap, bold = (11.0, 1.3) if points[i].chosen else (7.0, 1.0)
        found = _place(text, spots[i], marks, taken, faint, gap=gap, reach=reach, bold=bold)
        if found is None:
            continue
        box, tether = found
        taken.append(box)
        if tether is not None:
            taken += [_around(spot, 1.5) for spot in _along(spots[i], tether)[2:]]
            ends = f'x1="{spots[i][0]:.1f}" y1="{spots[i][1]:.1f}" x2="{tether[0]:.1f}" y2="{tether[1]:.1f}"'
            yield f'<line class="tether" {ends}/>'
        css = "name chosen" if points[i].chosen else "name"
        yield f'<text class="{css}" x="{box[0] + 1:.1f}" y="{box[3] - 3.5:.1f}">{escape(text)}</text>'


def _importance(p: Point) -> tuple[int, int]:
    first = 0 if p.chosen else 1 if p.group == "none" else 2
    return first, {"clamp": 0, "baseline": 1}.get(p.group, 2)


def _place(
    text: str,
    spot: Spot,
    marks: Sequence[Box],
    taken: Sequence[Box],
    faint: Sequence[Spot],
    *,
    gap: float,
    reach: int,
    bold: float,
) -> tuple[Box, Spot | None] | None:
    """The nearest free box for `text`; far ones come with the end of a thin line back to the point."""
    wide, high = 2 + bold * sum(FONT * (0.36 if c in " .,:il1|-" else 0.6) for c in text), FONT + 2
    best: tuple[float, Box, Spot | None] | None = None
    for distance in [gap + more for more in (0, 9, 20, 34, 50, 68, 90)][:reach]:
        for turn in range(16):
            dx, dy = math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)
            anchor = (spot[0] + distance * dx, spot[1] + distance * dy)
            left, top = anchor[0] - wide * (1 - dx) / 2, anchor[1] - high * (1 - dy) / 2
            box = (left, top, left + wide, top + high)
            tether = None if distance < gap + 9 else anchor
            if not (left >= LEFT + 1 and box[2] <= WIDTH - 1 and top >= TOP - 14 and box[3] <= BOTTOM - 1):
                continue
            if any(_overlap(box, other) for other in (*marks, *taken)):
                continue
            if tether and any(_holds(b, s) for s in _along(spot, tether)[1:] for b in taken):
                continue
            cost = distance + 3 * sum(_holds(box, s) for s in faint) + (0 if dx > -0.1 else 2)
            if best is None or cost < best[0]:
                best = (cost, box, tether)
    return None if best is None else best[1:]


def shortened(text: str, longest: int) -> str:
    """Shortened in the middle: the end is where sweeps keep their strengths, and sets of tasks their last one."""
    keep = longest // 2
    return text if len(text) <= longest else f"{text[:keep].rstrip()}…{text[1 - keep :].lstrip()}"


def _around(spot: Spot, r: float) -> Box:
    return spot[0] - r, spot[1] - r, spot[0] + r, spot[1] + r


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _holds(box: Box, spot: Spot) -> bool:
    return box[0] < spot[0] < box[2] and box[1] < spot[1] < box[3]


def _along(start: Spot, end: Spot) -> list[Spot]:
    """Points every few units along a line: a cheap stand-in for exact crossings."""
    n = max(2, int(math.dist(start, end) / 4))
    return [(start[0] + (end[0] - start[0]) * k / n, start[1] + (end[1] - start[1]) * k / n) for k in range(n + 1)]


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
