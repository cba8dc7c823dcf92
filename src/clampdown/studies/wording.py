"""How the report writes numbers, tokens and names."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from markupsafe import Markup, escape

PLAIN = ("bits_per_byte", "score")
"""Metrics that are numbers, no shares."""


def known(value: object) -> TypeGuard[float]:
    """A number that was measured: JSON's null and Python's NaN are both 'not measured'."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def percent(value: object, n: object = None, metric: str = "") -> str:
    """A fraction as percent: whole numbers, with a decimal once n can carry one. What is no share stays as it is."""
    if not known(value):
        return "–"
    number = float(value)
    if metric in PLAIN:
        return f"{number:.3f}"
    return f"{100 * number:.{1 if known(n) and float(n) >= 400 else 0}f}%"


def span(low: object, high: object, n: object = None, metric: str = "") -> str:
    if not (known(low) and known(high)):
        return "no interval"
    if low == high:
        return "no interval: all alike"  # a bootstrap of values that are all the same would claim certainty
    return f"{percent(low, n, metric).rstrip('%')}–{percent(high, n, metric)}"


def points(value: object, metric: str = "") -> str:
    """A signed difference, in percentage points (or as it is, of what is no share), with a true minus sign."""
    if not known(value):
        return "–"
    number = float(value)
    text = f"{number:+.3f}" if metric in PLAIN else f"{100 * number:+.1f}"
    return text.replace("-", "−")


def signed(value: object) -> str:
    """A gain: three decimals, so that a column of them can be compared at a glance."""
    return f"{float(value):+.3f}".replace("-", "−") if known(value) else "–"


def number(value: object, form: str = ".3g") -> str:
    return format(value, form).replace("-", "−") if known(value) else "–"


def chance(p: object) -> str:
    """A p value, to the precision anyone should read it with."""
    if not known(p):
        return "–"
    return "< 0.001" if float(p) < 0.001 else f"{float(p):.3f}"


def duration(seconds: object) -> str:
    if not known(seconds):
        return "an unknown time"
    minutes = round(float(seconds) / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else "under a minute"


def visible(token: object) -> str:
    """A token whose white space can be seen: a line break or a lone space is often the very thing that fires."""
    text = str(token).replace("\n", "↵").replace("\t", "⇥")
    return text if text.strip() else text.replace(" ", "␣") or "∅"


def breakable(name: object) -> Markup:
    """A set's name, which a line may break after each of its parts: that of several tasks is one long word."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,_/])", str(name)))


def whole(text: object, *names: object) -> Markup:
    """A text with the names in it each kept on one line, as long as that is wide enough: they are full of hyphens."""
    wanted = sorted({str(name) for name in names if name}, key=len, reverse=True)
    if not wanted:
        return escape(text)
    # With what stands right behind: a line may break after a box, and none should begin with a colon.
    parts = re.split("((?:" + "|".join(map(re.escape, wanted)) + ")[:;,.!?)]?)", str(text))
    kept = Markup('<span class="whole">{}</span>')
    return Markup("").join(kept.format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def one_line(text: object) -> str:
    """A stretch of text as a context shows it: on one line, without the role that a chat template writes before it."""
    said = re.sub(r"(^|\n)[ \t]*(system|user|assistant|model)[ \t]*\n", "", str(text or ""))
    return re.sub(r"\s*\n\s*", " ↵ ", said).replace("\t", " ")


def share(value: object, items: Iterable[Mapping[str, Any]]) -> str:
    """How strong an activation is among its latent's contexts, as an opacity."""
    top = max((float(i["activation"]) for i in items if known(i.get("activation"))), default=0.0)
    return f"{0.3 + 0.7 * max(0.0, float(value)) / top:.2f}" if known(value) and top > 0 else "0.6"


TOOLS = (percent, span, points, signed, number, chance, duration, visible, breakable, whole, one_line, share, known)
"""What the page's template may call."""
