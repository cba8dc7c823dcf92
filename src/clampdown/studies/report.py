"""Turns a study's results into one HTML page that opens anywhere, offline.

Prompts and answers are hostile text. Jinja2 escapes every one of them, and the page carries a content security
policy under which a browser loads nothing at all and runs no script but ours, named by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clampdown.measuring.sets.kinds import PROMPTS, SetKind
from clampdown.studies import charts, wording
from clampdown.studies.chart_names import shortened
from clampdown.studies.latents import published, unclear
from clampdown.studies.story import mends, next_steps
from clampdown.studies.wording import known, percent, span
from clampdown.writing import beside

SCHEMA = "clampdown-study/1"
BABBLE = 0.10  # above this share of incoherent answers a refusal rate no longer speaks for itself
HEADLINE: dict[str, tuple[str, ...]] = {
    SetKind.UNSAFE: ("coherent_refusal", "refusal", "looping", "incoherent"),
    SetKind.SAFE: ("refusal", "looping", "incoherent"),
    SetKind.LOOKALIKE: ("refusal", "looping"),
    SetKind.ATTACK: (
        "coherent_refusal",
        "refusal",
        "looping",
        "refused_at_any",
        "complied_at_any",
        "attack_success",
        "incoherent",
    ),
    SetKind.ATTACK_SAFE: ("refusal", "looping", "refused_at_any"),
    SetKind.CAPABILITY: ("accuracy", "score", "refusal"),
    SetKind.TEXT: ("bits_per_byte",),
}
LEADS: dict[str, str] = {SetKind.CAPABILITY: "accuracy", SetKind.TEXT: "bits_per_byte"}
"""What leads a kind of which the results name no headline; else it is the refusals."""
# Only kinds known to be harmless are shown unfolded: an unknown kind is treated as unsafe.
HARMLESS = tuple(kind for kind in SetKind if not kind.wants_refusal)
METRICS = {
    "accuracy": "accuracy",
    "score": "score",
    "coherent_refusal": "refused coherently",
    "refusal": "refused",
    "looping": "looping",
    "refused_at_any": "refused at any turn",
    "complied_at_any": "complied at any turn",
    "attack_success": "attack success",
    "gate_open": "gate open",
    "refusal_when_open": "refused when open",
    "full_refusal": "plain refusal",
    "partial": "partial refusal",
    "moralising": "moralising",
    "incoherent": "babble",
    "unscored": "unscored",
    "outgrew_context": "outgrew context",
    "attacker_failed": "attacker failed",
    "bits_per_byte": "bits per byte",
}
KINDS = {kind.value: kind.value for kind in SetKind} | {
    "safe": "ordinary",
    "lookalike": "look-alike",
    "attack-safe": "harmless conversation",
}
COPY_SCRIPT = """
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try { await navigator.clipboard.writeText(source.textContent); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(source); button.textContent = "Selected: now copy"; }
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  });
}
"""

Row = Mapping[str, Any]


def write_report(results: dict[str, Any], path: Path) -> None:
    """Write the page to `path`: a reader finds the old page or the new one there, never half of either."""
    # A tokenizer can leave lone surrogates in an answer; they have no UTF-8 form.
    page = render_report(results).encode("utf-8", "replace")
    with beside(path) as part:
        part.write_bytes(page)


def render_report(results: Row) -> str:
    """The page as text. Raises ValueError when `results` is of another schema."""
    if results.get("schema") != SCHEMA:
        raise ValueError(f"a report is drawn from {SCHEMA!r} results, not {results.get('schema')!r}")
    study = Study(results)
    template = environment().get_template("report.html.j2")
    digest = base64.b64encode(hashlib.sha256(COPY_SCRIPT.encode()).digest()).decode()
    page = template.render(
        s=study,
        r=results,
        mends=mends(study),
        steps=next_steps(study, results),
        script=Markup(COPY_SCRIPT),
        script_hash=Markup(digest),
    )
    # Control characters from a model have no place in HTML, and some editors take a file with NUL for binary.
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", page)


class Study:
    """The results, arranged the way the page reads them. Missing parts become empty lists and None."""

    def __init__(self, results: Row) -> None:
        self.arms: list[Row] = list(results.get("arms") or ())
        self.sets: list[Row] = list(results.get("sets") or ())
        self.composed: list[Row] = list(results.get("composed") or ())
        self.missing = [str(arm["label"]) for arm in results.get("missing") or ()]
        self.by_name = {arm["name"]: arm for arm in self.arms}
        told = [*self.arms, *self.composed]
        self.measures = {(a["name"], m["set"], m["metric"]): m for a in told for m in a.get("measures") or ()}
        self.comparisons = {
            (c["arm"], c["set"], c["metric"]): c for c in results.get("comparisons") or () if c["arm"] in self.by_name
        }
        self.categories: list[Row] = list(results.get("categories") or ())
        self.tasks: list[Row] = list(results.get("tasks") or ())
        recommended = results.get("recommended") or {}
        self.recommended: Row | None = self.by_name.get(recommended.get("name"))
        self.none: Row | None = self.by_name.get("none") or next((a for a in self.arms if a["group"] == "none"), None)
        self.opened = self._opened()
        self.sweeps = _sweeps(told)
        self.leads: Row = LEADS | dict(results.get("headline") or {})
        self.coherent = self.lead(SetKind.UNSAFE) == "coherent_refusal"

    def _opened(self) -> Row | None:
        """The recommended arm with its gate forced open, where a gate decides in it."""
        if self.recommended is None or self.recommended.get("gate") != "recipe":
            return None
        return next((arm for arm in self.arms if arm.get("gate") == "open" and _one(arm["name"])), None)

    def lead(self, kind: str) -> str:
        """The metric that a kind of set is led by and drawn by."""
        return str(self.leads.get(kind, "refusal"))

    def label(self, name: str) -> str:
        return str(self.by_name[name]["label"]) if name in self.by_name else name

    def group(self, name: str) -> str:
        return str(self.by_name[name]["group"]) if name in self.by_name else "control"

    def kinds(self) -> dict[str, str]:
        """Each set's kind, in the order of the results, also for sets that only the measures name."""
        found = {s["name"]: s["kind"] for s in self.sets}
        for arm in self.arms:
            for m in arm.get("measures") or ():
                found.setdefault(m["set"], m["kind"])
        return found

    def named(self, kind: str) -> list[str]:
        """The measured sets of a kind; the first is the one that charts and cards speak of."""
        metric = self.lead(kind)
        measured = {s for (_, s, m), row in self.measures.items() if m == metric and known(row.get("value"))}
        return [name for name, k in self.kinds().items() if k == kind and name in measured]

    def columns(self, *, headline: bool) -> list[dict[str, Any]]:
        """(set, metric) pairs measured on any arm; the headline ones, or all the others."""
        pairs = dict.fromkeys((s, m) for _, s, m in self.measures)
        kinds = self.kinds()
        sets, metrics = list(kinds), list(METRICS)
        out = []
        for name, metric in sorted(pairs, key=lambda p: (sets.index(p[0]), _order(p[1], metrics))):
            kind = kinds[name]
            if (metric in HEADLINE.get(kind, ())) is headline:
                out.append(self._column(name, kind, metric))
        return out

    def _column(self, name: str, kind: str, metric: str) -> dict[str, Any]:
        """A column of a table; n where it is the same for all arms."""
        ns = {m.get("n") for (_, s, k), m in self.measures.items() if (s, k) == (name, metric)}
        return {"set": name, "kind": kind, "metric": metric, "n": ns.pop() if len(ns) == 1 else None}

    def gate_arms(self) -> list[Row]:
        """No steering, the strong clamp without its gate, then all that runs behind one; nothing without a gate."""
        gates = [a for a in self.arms if a.get("gate") and a["group"] != "control"]
        if not any(a["gate"] != "open" for a in gates):
            return []
        strong = [a for a in gates if a["gate"] == "open" and _one(a["name"])]
        behind = sorted((a for a in gates if a["gate"] != "open"), key=lambda a: a is not self.recommended)
        return [*([self.none] if self.none else []), *strong, *behind]

    def gate_columns(self) -> list[dict[str, Any]]:
        """What the first table tells of the first set of each kind."""
        found = []
        for kind in (*PROMPTS, SetKind.ATTACK, SetKind.ATTACK_SAFE, SetKind.CAPABILITY, SetKind.TEXT):
            lead = self.lead(kind)
            metrics = ("gate_open", "refusal_when_open", lead) if kind.wants_refusal else ("gate_open", lead)
            for name in self.named(kind)[:1]:
                found += [self._column(name, kind, metric) for metric in metrics]
        return found

    def versus_columns(self) -> list[dict[str, Any]]:
        """(set, metric) pairs that some arm was compared on."""
        kinds = self.kinds() | {c["set"]: c["kind"] for c in self.comparisons.values()}
        pairs = dict.fromkeys((s, m) for _, s, m in self.comparisons)
        sets, metrics = list(kinds), list(METRICS)
        ordered = sorted(pairs, key=lambda p: (sets.index(p[0]), _order(p[1], metrics)))
        return [{"set": s, "kind": kinds[s], "metric": m, "n": None} for s, m in ordered]

    def measure(self, arm: Row | None, name: str, metric: str) -> Row:
        return self.measures.get((arm["name"], name, metric), {}) if arm is not None else {}

    def babbles(self, arm: Row) -> bool:
        rates = [self.measure(arm, s, "incoherent").get("value") for s in self.named(SetKind.UNSAFE)]
        return any(v > BABBLE for v in rates if known(v))

    def cards(self) -> list[dict[str, Any]]:
        """The verdict's figures: the recommended arm beside no steering, on the first set of each kind.

        Where a gate decides in it, beside it with that forced open too.
        """
        titles = {
            "unsafe": (f"Unsafe requests {METRICS.get(self.lead(SetKind.UNSAFE), '')}", "higher is safer"),
            "safe": ("Ordinary requests refused", "lower is better"),
            "lookalike": ("Look-alikes refused", "lower is better"),
            "capability": ("Capability: answered right", "higher is better"),
            "attack": (f"Attacks {METRICS.get(self.lead(SetKind.ATTACK), '')} in the end", "higher is safer"),
        }
        out = []
        for kind, (title, hint) in titles.items():
            for name in self.named(kind)[:1]:
                metric = self.lead(kind)
                arm, none = self.measure(self.recommended, name, metric), self.measure(self.none, name, metric)
                versus = self.comparisons.get(((self.recommended or {}).get("name", ""), name, metric))
                opened = self.measure(self.opened, name, metric)
                rows = [*([("clamp", arm)] if self.recommended else []), *([("clamp", opened)] if opened else [])]
                rows.append(("none", none))
                strip = charts.strip([(g, *_bounds(m)) for g, m in rows], name=f"{title}: intervals")
                card = {"kind": kind, "title": title, "hint": hint, "set": name, "metric": metric, "strip": strip}
                out.append(card | {"arm": arm, "none": none, "opened": opened, "versus": versus})
        return out

    def frontier(self) -> list[dict[str, Any]]:
        """A chart for each set that a refusal can cost something on; the first of each kind leads."""
        out = []
        for unsafe in self.named(SetKind.UNSAFE)[:1]:
            for kind in (SetKind.SAFE, SetKind.CAPABILITY, SetKind.LOOKALIKE):
                for i, name in enumerate(self.named(kind)):
                    if chart := self._chart(unsafe, kind, name):
                        out.append(chart | {"lead": i == 0})
        return out

    def _chart(self, unsafe: str, kind: str, name: str) -> dict[str, Any] | None:
        shown = sorted([*self.arms, *self.composed], key=lambda a: _strength(a["name"]))
        points = [p for a in shown if (p := self._point(a, unsafe, name, self.lead(kind))) is not None]
        if not points:
            return None
        what = {"safe": "Ordinary requests", "lookalike": "Look-alikes", "capability": shortened(name, 24)}[kind]
        cost = "answered right, % (right is better)" if kind == SetKind.CAPABILITY else "refused, % (left is better)"
        gain = f"Unsafe requests {METRICS.get(self.lead(SetKind.UNSAFE), '')}"
        svg = charts.scatter(
            points,
            x_title=f"{what} {cost}",
            y_title=f"{gain}, % (up is better)",
            name=f"{gain} against {what} {cost}, one point an arm",
            from_zero=kind != SetKind.CAPABILITY,
        )
        nameless = charts.unnamed(points, from_zero=kind != SetKind.CAPABILITY)
        chart = {"kind": kind, "set": name, "unsafe": unsafe, "svg": svg, "missing": len(shown) - len(points)}
        return chart | {"unnamed": [f"{p.label} ({percent(p.y)}, {percent(p.x)})" for p in nameless]}

    def _point(self, arm: Row, unsafe: str, name: str, metric: str) -> charts.Point | None:
        y, y_low, y_high = _bounds(self.measure(arm, unsafe, self.lead(SetKind.UNSAFE)))
        x, x_low, x_high = _bounds(self.measure(arm, name, metric))
        if x is None or y is None:
            return None
        hollow = self.babbles(arm)
        tip = (
            f"{arm['label']}: unsafe {METRICS.get(self.lead(SetKind.UNSAFE), '')} {percent(y)} "
            f"({span(y_low, y_high)}), "
            f"{name} {percent(x)} ({span(x_low, x_high)}){', babbles' if hollow else ''}"
        )
        chosen = arm is self.recommended
        sweep = self.sweeps.get(arm["name"])
        bars = (x_low, x_high, y_low, y_high)
        return charts.Point(arm["label"], arm["group"], x, y, *bars, hollow, chosen, sweep, tip, arm["name"])

    def category_table(self) -> dict[str, Any]:
        return self._table(self.categories)

    def task_tables(self) -> list[dict[str, Any]]:
        """For each set that is made of several tasks the table of them."""
        sets = dict.fromkeys(task["set"] for task in self.tasks)
        return [{"set": name} | self._table([t for t in self.tasks if t["set"] == name]) for name in sets]

    def _table(self, parts: Sequence[Row]) -> dict[str, Any]:
        cells = {(c["category"], c["arm"]): c for c in parts}
        arms = [a["name"] for a in self.arms if any(c["arm"] == a["name"] for c in parts)]
        return {"rows": list(dict.fromkeys(c["category"] for c in parts)), "arms": arms, "cells": cells}

    def letter_rows(self, table: Row) -> list[tuple[str, Mapping[str, int]]]:
        """How often each choice is right (under an empty name), then how often each arm answered it."""
        return [("", table["right"]), *((row["arm"], row["letters"]) for row in table.get("arms") or ())]

    def attacks(self) -> list[str]:
        """The attacks that were run, each with the harmless conversations of its form."""
        return [name for name, kind in self.kinds().items() if kind.startswith("attack")]

    def unjudged(self) -> list[str]:
        """The attacks whose answers no judge of harm has seen."""
        judged = {name for _, name, metric in self.measures if metric == "attack_success"}
        return [name for name, kind in self.kinds().items() if kind == SetKind.ATTACK and name not in judged]


def _sweeps(arms: Sequence[Row]) -> dict[str, str]:
    """Which arms share a line: clamps, and differences in means, whose names differ in their numbers only."""
    stems = {
        a["name"]: re.sub(r"\d+(\.\d+)?", "#", a["name"])
        for a in arms
        if a["group"] == "clamp" or a["name"].startswith("difference-in-means")
    }
    # Names without numbers ("gentle", "firm") are still one sweep.
    return {name: stem if "#" in stem else "clamp" for name, stem in stems.items()}


def _strength(name: str) -> float:
    """The last number of a name, in whose order a sweep is drawn; 0 where there is none."""
    found = re.findall(r"\d+(?:\.\d+)?", name)
    return float(found[-1]) if found else 0.0


def _one(name: str) -> bool:
    """Whether an arm is the recipe as it is, but for its gate."""
    return name in ("clamp-1", "direction-1")


def _bounds(m: Row) -> tuple[float | None, float | None, float | None]:
    value, low, high = (v if known(v) else None for v in (m.get("value"), m.get("low"), m.get("high")))
    return value, low, high


def _order(item: str, known_items: Sequence[str]) -> int:
    return known_items.index(item) if item in known_items else len(known_items)


@cache
def environment() -> Environment:
    """Where the pages' templates lie, and what they may call. Autoescape is on."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {tool.__name__: tool for tool in wording.TOOLS}
    environment.globals |= {"published": published, "unclear": unclear}
    environment.globals |= {"swatch": charts.swatch, "METRICS": METRICS, "KINDS": KINDS, "HARMLESS": HARMLESS}
    return environment
