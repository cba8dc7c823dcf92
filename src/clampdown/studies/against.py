"""Two studies side by side: what one arm did against another on the same items, or why that can't be said."""

from collections.abc import Mapping
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import ItemSet
from clampdown.studies.arms import Arm
from clampdown.studies.comparisons import compare
from clampdown.studies.measures import headline, measures
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import is_column
from clampdown.studies.record import Record

SCHEMA = "clampdown-against/1"
_SAME = ("max_new_tokens", "temperature", "samples")
"""What of the plans must be equal for answers to be comparable; seeds and batches need not be."""
_TEMPLATE = "template options"
_PRECISION = ("dtype", "quantization", "engine")


def against(a: Record, b: Record, arm_a: str, arm_b: str) -> dict[str, Any]:
    """Arm `arm_b` of study `b` minus arm `arm_a` of study `a`, set by set, paired by item.

    Returns {"schema", "a", "b", "sets", "left_out", "notes"}: `sets` holds, for each set that both measured on the same
    items, {"set", "kind", "metric", "n", "a", "b", "difference", "low", "high", "p", "p_adjusted", "reading"}, where
    `a` and `b` are {"n", "value", "low", "high"}.

    Raises:
        ClampdownError: judges, lengths of answers, options of the chat template (such as no thinking) or all sets
            differ: the figures would not be comparable.
    """
    first, second = a.arm(arm_a), b.arm(arm_b)
    _check_plans(a, b)
    _check_templates(a, b)
    shared, left_out = _shared(a, b, first, second)
    if not shared:
        raise ClampdownError(f"{a.name} and {b.name} can't be compared: {'; '.join(left_out) or 'they share no set'}")
    _check_judges(a, b, first, second, shared)
    room = Plan.from_dict(a.about["plan"]).room
    rows = compare(
        [
            (
                second.name,
                item_set,
                headline(item_set, a.rows[first.name, item_set.name], room=room),
                headline(item_set, b.rows[second.name, item_set.name], room=room),
            )
            for item_set in shared
        ],
        a.about["plan"]["seed"],
    )
    told = [
        row | {"a": _own(a, first, item_set, row["metric"]), "b": _own(b, second, item_set, row["metric"])}
        for row, item_set in zip(rows, shared, strict=True)
    ]
    return {
        "schema": SCHEMA,
        "a": _who(a, first),
        "b": _who(b, second),
        "sets": told,
        "left_out": left_out,
        "notes": _notes(a, b),
    }


def _check_plans(a: Record, b: Record) -> None:
    for key in _SAME:
        one, other = a.about["plan"].get(key), b.about["plan"].get(key)
        if one != other:
            raise ClampdownError(
                f"{a.name} and {b.name} can't be compared: {key} is {one} in one and {other} in the other; "
                "run one of them again"
            )


def _check_templates(a: Record, b: Record) -> None:
    """With thoughts and without them, a model gives answers of another sort to the same prompts."""
    one, other = (_made(record).get(_TEMPLATE) or {} for record in (a, b))
    if one != other:
        told = [", ".join(f"{k} = {v}" for k, v in sorted(options.items())) or "none" for options in (one, other)]
        raise ClampdownError(
            f"{a.name} and {b.name} can't be compared: the options of their chat templates differ ({told[0]} in one, "
            f"{told[1]} in the other); run one of them again"
        )


def _made(record: Record) -> Mapping[str, Any]:
    """Libraries, precision, engine and template options, as the study's identity has them."""
    return {"engine": "transformers"} | dict(record.identity.get("libraries and precision", {}))


def _shared(a: Record, b: Record, first: Arm, second: Arm) -> tuple[list[ItemSet], list[str]]:
    """The sets with the very same items in both studies, and for each of the others why it is left out."""
    found, left_out = [], []
    theirs = {item_set.name: item_set for item_set in b.sets}
    for mine in a.sets:
        other = theirs.get(mine.name)
        if other is None:
            left_out.append(f"{mine.name} is in {a.name} alone")
        elif [(i.id, i.text, i.choices) for i in mine.items] != [(i.id, i.text, i.choices) for i in other.items]:
            left_out.append(f"{mine.name} holds other items ({len(mine.items)} and {len(other.items)})")
        elif _asked_apart(mine, other):
            left_out.append(f"{mine.name} was asked in another way")
        elif not a.rows.get((first.name, mine.name)) and not b.rows.get((second.name, mine.name)):
            continue
        elif not (a.done(first, mine) and b.done(second, mine)):
            left_out.append(f"{mine.name} is not finished in both")
        else:
            found.append(mine)
    left_out += [f"{name} is in {b.name} alone" for name in theirs if name not in {s.name for s in a.sets}]
    return found, left_out


def _asked_apart(mine: ItemSet, other: ItemSet) -> bool:
    """Whether the same items were asked otherwise: the hashes of attacks and tasks tell how they are run."""
    decides = mine.kind.is_attack or is_column(mine.name)
    return mine.kind != other.kind or (decides and mine.sha256 != other.sha256)


def _check_judges(a: Record, b: Record, first: Arm, second: Arm, shared: list[ItemSet]) -> None:
    judges = {
        row.judge
        for record, arm in ((a, first), (b, second))
        for item_set in shared
        if item_set.kind.is_prompts or item_set.kind.is_attack
        for row in record.rows[arm.name, item_set.name]
    }
    if len(judges) > 1:
        raise ClampdownError(
            f"{a.name} and {b.name} can't be compared: their judges differ ({', '.join(sorted(map(str, judges)))})"
        )


def _own(record: Record, arm: Arm, item_set: ItemSet, metric: str) -> Mapping[str, Any]:
    plan = Plan.from_dict(record.about["plan"])
    found = measures(arm, [item_set], record.rows, plan.seed, room=plan.room)
    mine = next((m for m in found if m["metric"] == metric), None)
    return {key: mine[key] if mine else None for key in ("n", "value", "low", "high")}


def _who(record: Record, arm: Arm) -> dict[str, Any]:
    return {"study": record.name, "arm": arm.name, "label": arm.label, "model": record.about["model"]["name"]}


def _notes(a: Record, b: Record) -> list[str]:
    """What differs and does not forbid a comparison, yet a reader must know."""
    said = []
    one, other = a.about["model"], b.about["model"]
    if one["sha256"] != other["sha256"]:
        said.append(f"the models differ: {one['name']} and {other['name']}")
    said += _prompts(a, b)
    mine, theirs = ({**_made(r), "clampdown": r.about["environment"].get("clampdown")} for r in (a, b))
    for key in dict.fromkeys([*mine, *theirs]):
        x, y = mine.get(key) or "none", theirs.get(key) or "none"
        if key != _TEMPLATE and x != y:
            why = "; a part of each difference may come from that" if key in _PRECISION else ""
            said.append(f"{key} differs: {x} and {y}{why}")
    return said


def _prompts(a: Record, b: Record) -> list[str]:
    """How the same items may have become other prompts, or the same answers ended elsewhere."""
    may = "a part of each difference may come from that"
    unknown = [record.name for record in (a, b) if "chat template" not in record.identity]
    if unknown:
        whose = " and ".join(dict.fromkeys(unknown))
        return [f"an older Clampdown did not keep the chat template of {whose}: whether both had the same is unknown"]
    said = []
    one, other = (((record.about.get("template") or {}).get("moment") or "")[:10] for record in (a, b))
    if a.identity["chat template"] != b.identity["chat template"]:
        said.append(f"the chat templates differ, and so do the prompts; {may}")
    elif one != other:
        said.append(f"the chat template writes the date: {one} in one and {other} in the other; {may}")
    elif any(_tokens(a, s) != _tokens(b, s) for s in a.sets if s in b.sets):
        said.append(f"the tokenizers differ, and so do the prompts; {may}")
    if a.identity.get("end of answers") != b.identity.get("end of answers"):
        said.append(f"the tokens that end an answer, or the contexts, differ; {may}")
    return said


def _tokens(record: Record, item_set: ItemSet) -> Any:
    return record.identity.get("tokenization", {}).get(item_set.name)
