"""Names beside a chart's points: on free ground, with a thin line back where they lie far from their point."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

FONT = 12.0
LONGEST = 26
_NARROW, _WIDE = frozenset(" .,:;'|!iljtfr()-1"), frozenset("mwMW×…%@")

Box = tuple[float, float, float, float]  # left, top, right, bottom
Spot = tuple[float, float]


@dataclass(frozen=True)
class Named:
    """A point that wants its name written.

    bold: drawn so, and further off, for a ring is around it; far: whether a name may lie so far off that it needs a
    line back.
    """

    text: str
    spot: Spot
    bold: bool = False
    far: bool = True


def place(points: Sequence[Named], room: Box, lines: Iterable[tuple[Spot, Spot]]) -> dict[int, Markup]:
    """The names that found room, as SVG, by their points' places; the first points choose first.

    No name lies on a point or on another name. Those on the lines given (error bars, sweeps) are avoided where that
    costs little, else a name stands on paper of its own, which breaks the line rather than the word.
    """
    marks = [_around(point.spot, 10.5 if point.bold else 6.0) for point in points]
    faint = [spot for start, end in lines for spot in _along(start, end)]
    taken: list[Box] = []
    found: dict[int, Markup] = {}
    for number, point in enumerate(points):
        text = shortened(point.text, LONGEST)
        where = _place(text, point, room, marks, taken, faint)
        if where is None:
            continue
        box, tether = where
        taken.append(box)
        line = ""
        if tether is not None:
            taken += [_around(spot, 1.5) for spot in _along(point.spot, tether)[2:]]
            (x1, y1), (x2, y2) = point.spot, tether
            line = f'<line class="tether" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        css = "name chosen" if point.bold else "name"
        size = f'x="{box[0]:.1f}" y="{box[1]:.1f}" width="{box[2] - box[0]:.1f}" height="{box[3] - box[1]:.1f}"'
        paper = f'<rect class="paper" {size} rx="3"/>'
        words = f'<text class="{css}" x="{box[0] + 1:.1f}" y="{box[3] - 3.5:.1f}">{escape(text)}</text>'
        found[number] = Markup(line + paper + words)
    return found


def _place(
    text: str, point: Named, room: Box, marks: Sequence[Box], taken: Sequence[Box], faint: Sequence[Spot]
) -> tuple[Box, Spot | None] | None:
    """The nearest free box for `text`; far ones come with the end of a thin line back to the point."""
    wide, high = 2 + (1.1 if point.bold else 1.0) * width(text), FONT + 2
    gap, spot = 11.0 if point.bold else 7.0, point.spot
    best: tuple[float, Box, Spot | None] | None = None
    for distance in [gap + more for more in (0, 9, 20, 34, 50, 68, 90)][: 7 if point.far else 1]:
        for turn in range(16):
            dx, dy = math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)
            anchor = (spot[0] + distance * dx, spot[1] + distance * dy)
            left, top = anchor[0] - wide * (1 - dx) / 2, anchor[1] - high * (1 - dy) / 2
            box = (left, top, left + wide, top + high)
            tether = None if distance < gap + 9 else anchor
            if not (left >= room[0] and box[2] <= room[2] and top >= room[1] and box[3] <= room[3]):
                continue
            if any(_overlap(box, other) for other in (*marks, *taken)):
                continue
            if tether and any(_holds(b, s) for s in _along(spot, tether)[1:] for b in taken):
                continue
            cost = distance + 2 * min(8, sum(_holds(box, s) for s in faint)) + (0 if dx > -0.1 else 2)
            if best is None or cost < best[0]:
                best = (cost, box, tether)
    return None if best is None else best[1:]


def width(text: str) -> float:
    """About how wide a text is, in a wide font: a name must not run out of the picture."""
    return FONT * sum(0.36 if c in _NARROW else 0.86 if c in _WIDE else 0.64 for c in text)


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
