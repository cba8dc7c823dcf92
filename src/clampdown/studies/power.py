"""What a study will ask, cost and be able to tell: before it runs, and without a model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clampdown.measuring.judging.looping import ROOM
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.measuring.statistics.clustered import effective_n
from clampdown.measuring.statistics.rates import items_needed, mcnemar_least, paired_detectable_difference
from clampdown.recipe import Recipe
from clampdown.studies.beside import clamp_beside
from clampdown.studies.first import closest_to_one, first_names
from clampdown.studies.gated import ends
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Column

BASE = {
    SetKind.UNSAFE: 0.5,
    SetKind.SAFE: 0.05,
    SetKind.LOOKALIKE: 0.1,
    SetKind.CAPABILITY: 0.5,
    SetKind.ATTACK: 0.5,
    SetKind.ATTACK_SAFE: 0.1,
}
"""The rates that arms are taken to start from: 0.5 is the hardest; models refuse few harmless requests."""
POWER, ALPHA = 0.8, 0.05
INSTEAD = ("fixed-refusal", "system-prompt-gated")
"""Arms that do something else than edit where their gate opens (see `arms.Arm`)."""
WANTED = 0.10
"""A set that can't tell a difference of 10 points is too small for most purposes."""
ASSUMED = (
    "80% power at 5%, two-sided. Taken as given: the unsteered rate is the one under “from”; the two arms' answers to "
    "an item are unrelated (paired answers mostly agree, and then smaller differences show); items of a cluster are "
    "copies of one another. With other rates a set may tell more, or less."
)


def dry_run(recipe: Recipe, plan: Plan, sets: Sequence[ItemSet], columns: Sequence[Column] = ()) -> dict[str, Any]:
    """A study's arms, sets, power and work, as plain data: {"arms", "sets", "headline", "assumed", "work", "warnings"}.

    `arms` are {"name", "draws"}; an unrelated latent or an SAE pass may still turn out not to exist. Each of `sets` is
    {"set", "kind", "n", "clusters", "base", "difference", "corrected", "changed", "needed"}: the smallest change from
    the rate `base` that n will likely tell between two arms, and among all arms at Holm's strictest step; None where
    even the largest change is not likely to show, and for plain text. `changed`, which assumes no rate, is
    {"two", "all"}: how many clusters must change one way, and none the other, before any difference can show between
    two arms and among all; None where there are fewer. `needed` items would tell 10 points. `work` counts answers,
    questions and passages over all arms, the tokens generated at most, and about how many are read (four characters a
    token); an attack's messages are answers too, but what its attacker and its judge do is not counted. `headline` says
    what arms are compared by on unsafe requests and attacks.
    """
    plan = plan.meant_for(recipe)
    arms = planned_arms(recipe, plan)
    told = [_set(item_set, BASE.get(item_set.kind), len(arms) - 1) for item_set in sets]
    for column in columns:
        base = BASE[column.item_set.kind] if column.yes_or_no else None
        told.append(_set(column.item_set, base, len(arms) - 1))
    warnings = [_warning(row) for row in told if row["base"] is not None and not (row["difference"] or 1) <= WANTED]
    work = _work(arms, sets, plan)
    for column in columns:
        times = len(arms)
        if column.item_set.kind is SetKind.CAPABILITY:
            times -= sum(arm["name"] in INSTEAD for arm in arms)
        for place in range(len(column.item_set.items)):
            for key, count in column.work(place, plan).items():
                work[key] += times * count
    first = {"arms": arms, "sets": told, "headline": _headline(plan)}
    return first | {"assumed": ASSUMED, "work": work, "warnings": warnings}


def power_lines(told: Mapping[str, Any]) -> list[str]:
    """The table of a dry run's sets as lines of text, with what it assumes, the work and the warnings."""
    arms, work = told["arms"], told["work"]
    wide = max([3, *(len(row["set"]) for row in told["sets"])])
    lines = [f"{'set':{wide}}  {'n':>6}  {'clusters':>8}  {'from':>5}  {'two arms':>10}  {len(arms)} arms"]
    for row in told["sets"]:
        start = "–" if row["base"] is None else f"{row['base']:.0%}"
        cells = (_points(row["difference"]), _points(row["corrected"]))
        lines.append(
            f"{row['set']:{wide}}  {row['n']:>6}  {row['clusters']:>8}  {start:>5}  {cells[0]:>10}  {cells[1]}"
        )
    lines.append(f"smallest difference each set can tell with {told['assumed']}")
    lines.append(told["headline"])
    names = [arm["name"] for arm in arms]
    lines.append(f"{len(arms)} arms: {', '.join(names)}")
    if len(first := first_names(names)) < len(names):
        lines.append(f"a first report is written after {len(first)} of them: {', '.join(first)}")
    lines.append(
        f"in all {work['answers']} answers (at most {work['tokens_generated']} tokens), {work['questions']} "
        f"questions, {work['passages']} passages, about {work['tokens_read']} tokens read"
    )
    return lines + [f"warning: {line}" for line in told["warnings"]]


def _headline(plan: Plan) -> str:
    if plan.room:
        return "on unsafe requests and attacks arms are compared by coherent refusal: refusals that do not loop"
    return (
        f"answers of at most {plan.max_new_tokens} tokens have no room to end ({ROOM} have), so loops are not told, "
        "and arms are compared by all refusals"
    )


def planned_arms(recipe: Recipe, plan: Plan) -> list[dict[str, Any]]:
    """{"name", "draws"} of the arms that a plan asks for, in their order; no model is needed to name them."""
    stem = "clamp" if recipe.clamps else "direction"
    plan = plan.meant_for(recipe)
    [end] = ends(plan.one_gate)
    names = {
        "none": ["none"],
        "clamp": _clamps(recipe, plan, stem),
        "latents": [f"clamp-1{end}" for end in ends(plan.headline_gates)] if clamp_beside(recipe) else [],
        "difference-in-means": _differences(plan),
        "system-prompt": ["system-prompt", *(["system-prompt-gated"] if "recipe" in plan.gates else [])],
        "fixed-refusal": ["fixed-refusal"] if "recipe" in plan.gates else [],
    }
    if stem == "clamp":
        names |= {name: [name + end] for name in ("sae-pass", "zeroed", "unrelated-latent", "random-latents")}
    names["random-directions"] = ["random-directions" + end]
    return [
        {"name": name, "draws": plan.draws if name.startswith("random-") else 1}
        for kind, some in names.items()
        if kind in plan.arms
        for name in some
    ]


def _clamps(recipe: Recipe, plan: Plan, stem: str) -> list[str]:
    own = {clamp.rule for clamp in recipe.clamps}
    others = [rule for rule in plan.rules if own and own != {rule}]
    plain = [f"{stem}-{factor:g}" for factor in plan.factors]
    plain += [f"{stem}-at-{value:g}" for value in plan.values if own]
    found = [name + end for name in plain for end in ends(plan.gates if name == f"{stem}-1" else plan.one_gate)]
    return found + [f"{name}-{rule}{end}" for rule in others for name in plain for end in ends(plan.one_gate)]


def _differences(plan: Plan) -> list[str]:
    closest = closest_to_one(plan.strengths)
    return [
        f"difference-in-means-{strength:g}{end}"
        for strength in plan.strengths
        for end in ends(plan.headline_gates if strength == closest else plan.one_gate)
    ]


def _set(item_set: ItemSet, base: float | None, compared: int) -> dict[str, Any]:
    clusters = [item.cluster for item in item_set.items]
    row: dict[str, Any] = {"set": item_set.name, "kind": item_set.kind, "n": len(clusters)}
    row |= {"clusters": len(set(clusters)), "base": base}
    if base is None:
        return row | {"difference": None, "corrected": None, "changed": None, "needed": None}
    worth = max(1, int(effective_n(clusters)))
    alphas = (ALPHA, ALPHA / max(1, compared))
    least = [paired_detectable_difference(worth, base, power=POWER, alpha=alpha) for alpha in alphas]
    plain, corrected = (value if math.isfinite(value) else None for value in least)
    needed = items_needed(WANTED, base, power=POWER, alpha=ALPHA)
    least_changed = [mcnemar_least(alpha) for alpha in alphas]
    two, every = (count if count <= row["clusters"] else None for count in least_changed)
    changed = {"two": two, "all": every}
    return row | {"difference": plain, "corrected": corrected, "changed": changed, "needed": needed}


def _work(arms: Sequence[Mapping[str, Any]], sets: Sequence[ItemSet], plan: Plan) -> dict[str, int]:
    work = dict.fromkeys(("answers", "tokens_generated", "questions", "passages", "tokens_read"), 0)
    for item_set in sets:
        n, kind = len(item_set.items), item_set.kind
        read = sum(len(item.text) + sum(map(len, item.choices)) for item in item_set.items) // 4
        # A system prompt can't change plain text, which has no chat template; nor can what stands in an edit's place.
        unlike = ("system-prompt", *INSTEAD)
        times = len(arms) - (kind is SetKind.TEXT) * sum(arm["name"] in unlike for arm in arms)
        if kind.is_scored:
            work["questions" if kind is SetKind.CAPABILITY else "passages"] += times * n
        else:
            fixed = any(arm["name"] == "fixed-refusal" for arm in arms)  # no model is behind its answers
            work["answers"] += times * plan.samples * n
            work["tokens_generated"] += (times - fixed) * plan.samples * n * plan.max_new_tokens
            times *= plan.samples
        work["tokens_read"] += times * read
    return work


def _warning(row: Mapping[str, Any]) -> str:
    """What a small set can and can't tell: likely, from the rate assumed; and at all, whatever the rates."""
    worth = f"{row['n']} items" if row["n"] == row["clusters"] else f"{row['n']} items in {row['clusters']} clusters"
    two, every = row["changed"]["two"], row["changed"]["all"]
    if two is None:
        p = 2.0 ** (1 - row["clusters"])
        said = f"can tell no difference at all: were every answer to change, p would be {p:.2g}"
    else:
        below = "" if row["difference"] is None else f" below {_points(row['difference'])}"
        among = "among all arms none can" if every is None else f"{every} among all arms"
        said = f"will hardly tell any difference{below} if {row['base']:.0%} is the rate to start from; at any rate "
        said += f"at least {two} must change one way, and none the other ({among})"
    return f"{row['set']} ({worth}) {said}; 10 points need about {row['needed']} independent ones"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} points"
