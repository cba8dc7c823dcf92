"""From a row's record, what held of each item, to rates with intervals, in percent."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.measuring.statistics.ranking import auc, share_at
from clampdown.measuring.statistics.rates import paired_bootstrap

Figure = list[float]
"""A value, the ends of its 95% interval, and n; percent, or points for a difference. Empty where n is 0."""
ARMS = ("edit", "SAE clamp", "difference in means", "system prompt", "fixed sentence")


def digits(held: Sequence[bool] | Any, places: Sequence[int] | None = None, n: int = 0) -> str:
    """What held of each of n items, "1" or "0"; "-" of those that are not in `places`, which were not asked."""
    if places is None:
        return "".join("1" if hit else "0" for hit in held)
    found = ["-"] * n
    for place, hit in zip(places, held, strict=True):
        found[place] = "1" if hit else "0"
    return "".join(found)


def behind(hits: dict[str, str], arm: str) -> str:
    """The arm behind the gate: its own items where that is open, and those of no steering elsewhere."""
    rows = zip(hits["open"], hits[arm], hits["none"], strict=True)
    return "".join(own if opened == "1" else none for opened, own, none in rows)


def figures(record: dict[str, Any]) -> dict[str, Figure]:
    """All rates of a row."""
    hits, clusters = record["hits"], record.get("clusters")
    if record["kind"] == "conversations":
        found = {name: rate(own, clusters) for name, own in hits.items()}
        for name in ("refused at the last turn", "refused by the last turn"):
            for arm in ("edit", "fixed sentence"):
                both = hits[f"{arm}: {name}"], hits[f"none: {name}"]
                found[f"{arm}: {name}, less none"] = difference(*both, clusters)
        return found
    found = {"open": rate(hits["open"])}
    if record["kind"] == "passages":
        return found
    if record["kind"] == "questions":
        found["open, five-shot"] = rate(hits["open, five-shot"])
    found["none"] = rate(hits["none"])
    alone = hits["none"][: record["ungated"]]
    for arm in ("edit", "SAE clamp") if record["kind"] == "prompts" else ("edit",):
        forced = hits[arm][: record["ungated"]]
        found |= {f"{arm}, no gate": rate(forced), f"{arm}, no gate, less none": difference(forced, alone)}
    if record["kind"] == "prompts":
        both = zip(hits["open"], hits["edit"], strict=True)
        found["edit, open and refused"] = rate("".join("1" if pair == ("1", "1") else "0" for pair in both))
    for arm in ARMS if record["kind"] == "prompts" else ("edit",):
        whole = behind(hits, arm)
        when = "".join(own for opened, own in zip(hits["open"], hits[arm], strict=True) if opened == "1")
        found[f"{arm}, when open"] = rate(when)
        found |= {f"{arm}, gated": rate(whole), f"{arm}, gated, less none": difference(whole, hits["none"])}
    return found


def pooled(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows of one kind as one; no gate is forced open in it, for the first of each row were."""
    keys = set.intersection(*(set(record["hits"]) for record in records))
    hits = {key: "".join(record["hits"][key] for record in records) for key in keys}
    return records[0] | {"n": sum(record["n"] for record in records), "hits": hits, "ungated": 0}


def forced(records: Sequence[dict[str, Any]]) -> Figure:
    """The clamp on the first of each row, whatever the gate says, less no steering."""
    steered = "".join(record["hits"]["edit"][: record["ungated"]] for record in records)
    return difference(steered, "".join(record["hits"]["none"][: record["ungated"]] for record in records))


def apart(unsafe: dict[str, Any], safe: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """How well the gate's scores, and TF-IDF's, tell two rows apart."""
    found = {}
    for name, key in (("gate", "scores"), ("TF-IDF", "words")):
        high, low = ([own if own is not None else np.inf for own in record[key]] for record in (unsafe, safe))
        shares = {f"open at {share}%": round(100 * share_at(high, low, share / 100), 1) for share in (5, 10)}
        found[name] = {"auc": [round(value, 4) for value in auc(high, low)]} | shares
    return found


def rate(hits: str, clusters: Sequence[str] | None = None) -> Figure:
    kept = [place for place, hit in enumerate(hits) if hit != "-"]
    if not kept:
        return []
    names = [clusters[place] for place in kept] if clusters else kept
    return percent(clustered_rate([float(hits[place]) for place in kept], names), len(kept))


def difference(one: str, other: str, clusters: Sequence[str] | None = None) -> Figure:
    """The paired difference, by bootstrap: of no width where no item differs, of all widths where there is but one."""
    if not one:
        return []
    told = paired_bootstrap([float(hit) for hit in other], [float(hit) for hit in one], clusters, seed=0)
    return percent(told, len(one))


def percent(told: Any, n: int) -> Figure:
    return [*(round(100 * min(1.0, max(-1.0, value)), 1) + 0.0 for value in (told.value, told.low, told.high)), n]
