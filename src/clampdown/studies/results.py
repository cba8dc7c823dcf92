"""The results of a study as plain data: what the report draws and `--json` prints (schema "clampdown-study/1")."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clampdown.discovery.tuning.prompts import NONE_REPORTED
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, judge_card
from clampdown.measuring.judging.fluency import MARGIN
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.recipe import Recipe
from clampdown.saes.directory import neuronpedia_of
from clampdown.saes.load import load_sae
from clampdown.studies.arms import Arm, recommended_name
from clampdown.studies.batches import measured
from clampdown.studies.comparisons import comparisons, detectable
from clampdown.studies.composed import composed
from clampdown.studies.examples import examples
from clampdown.studies.first import first_names
from clampdown.studies.gated import ENDS, decider
from clampdown.studies.latents import held
from clampdown.studies.matched_refusal import matched
from clampdown.studies.measures import Rows, categories, leading, measures, receipt, tasks
from clampdown.studies.methods import methods
from clampdown.studies.notes import notes
from clampdown.studies.plan import Plan
from clampdown.studies.probes.letters import letters
from clampdown.studies.record import Record
from clampdown.studies.report import SCHEMA


def results(record: Record, paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Everything a report says of the arms that are finished; `missing` names the others. `paths` are recipe files.

    Raises:
        ClampdownError: an arm of those that come first is not finished, or one that should be steered was not.
    """
    arms, missing = _finished(record)
    sets, about = record.sets, record.about
    rows = {(name, item_set): some for (name, item_set), some in record.rows.items() if name not in missing}
    plan, recipe = Plan.from_dict(about["plan"]), Recipe.from_dict(about["recipe"])
    told = [_arm(arm, sets, rows, paths[arm.name], plan) for arm in arms]
    asked, room = record.asked, plan.room
    chosen, why = recommended_name(recipe, plan), _why(recipe, asked)
    return {
        "schema": SCHEMA,
        "title": f"{recipe.name} on {about['model']['name']}: what its refusals cost",
        **{key: about[key] for key in ("created", "seconds", "environment", "plan", "model")},
        "template": about["template"],
        "sae": _sae(recipe),
        "recipe": paths[chosen][0],
        "recommended": {
            "name": chosen,
            "path": paths[chosen][0],
            "toml": _shown(next(arm.recipes[0] or recipe for arm in arms if arm.name == chosen)),
            "why": why,
        },
        "sets": asked,
        "headline": {kind.value: leading(kind, room) for kind in SetKind if kind.is_prompts or kind.is_attack},
        "notes": notes(rows, plan),
        "arms": told,
        "missing": [{"name": name, "label": label} for name, label in missing.items()],
        "comparisons": comparisons(arms, sets, rows, plan.seed, room=room),
        "composed": (swept := composed(arms, sets, rows, recipe, chosen, plan)),
        "matched": [
            sentence
            for name in dict.fromkeys([chosen, chosen.removesuffix(ENDS["recipe"])])
            for sentence in matched([*told, *swept], name, asked, room=room)
        ],
        "detectable": detectable(sets, rows, room=room),
        "latents": about["latents"] or held(recipe),
        "categories": categories(arms, sets, rows, room=room),
        "tasks": tasks(arms, sets, rows, plan.seed),
        "letters": letters(arms, sets, rows),
        "examples": examples(arms, sets, rows, plan.seed),
        "judge": _judge(about["babble"]),
        "methods": methods(arms, sets, plan, why, (about["template"] or {}).get("moment")),
    }


def _shown(recipe: Recipe) -> str:
    """The recipe as its file beside the report says it: the gate's file lies in that folder."""
    gate = recipe.gate
    return (replace(recipe, gate=replace(gate, file=gate.kept_name)) if gate and gate.file else recipe).to_toml()


def _why(recipe: Recipe, sets: Sequence[Mapping[str, Any]]) -> str:
    """How the recommended recipe was chosen, as far as can be known."""
    if all(asked["split"] == "report" for asked in sets):
        if "selecting hal" in recipe.note:
            return (
                "This is the recipe as it is, chosen beforehand on the selecting half; these figures are from items "
                "that chose nothing."
            )
        if NONE_REPORTED in recipe.note and all(asked["source"].startswith("clampdown:") for asked in sets):
            return (
                "This is the recipe as it is, tuned beforehand on prompts of which none is from the reporting halves; "
                "these figures are from items that chose nothing."
            )
    return "This is the recipe as it was given; whether any of these items helped to choose it, its maker must say."


def _finished(record: Record) -> tuple[list[Arm], dict[str, str]]:
    """The arms that are finished, and the labels of the others by their names."""
    first, arms, missing = first_names([arm.name for arm in record.arms]), [], {}
    for arm in record.arms:
        left = [item_set.name for item_set in record.sets if measured(arm, item_set) and not record.done(arm, item_set)]
        if left and arm.name in first:
            raise ClampdownError(
                f"study {record.name} is not finished ({arm.label}: {left[0]}); start it again to go on"
            )
        if left:
            missing[arm.name] = arm.label
        else:
            arms.append(arm)
    return arms, missing


def _judge(babble: Mapping[str, Any] | None) -> dict[str, Any]:
    """The judge, and what a blind reading of the bundled model's answers says it is worth.

    babble: the surprise above which an answer was called incoherent, where the study had enough answers to tell.
    """
    card = judge_card()
    measured = {part["label"]: part for part in card["labels"]}
    told = "Told from an answer's words alone."
    if babble:
        measured["incoherent"] = card["with_surprise"]
        told = (
            f"An answer that complies in words but surprises the unsteered model by more than {babble['limit']:.2f} "
            f"nats a token is incoherent: that is {MARGIN - 1:.0%} above what it says itself ({babble['n']} answers)."
        )
    return {
        "name": JUDGE_VERSION,
        "note": f"Rules and a small classifier on the words of an answer; no language model judges. {told} Against a "
        f"blind reading, by language models, of {card['n']} answers of the bundled model, it is right about refusing "
        f"or not in {card['agreement']['value']:.0%}.",
        "labels": [
            {"label": label, "n": part["n"]} | {k: part[k] and part[k]["value"] for k in ("precision", "recall")}
            for label, part in measured.items()
        ],
    }


def _arm(arm: Arm, sets: Sequence[ItemSet], rows: Rows, paths: Sequence[str], plan: Plan) -> dict[str, Any]:
    return {
        "name": arm.name,
        "label": arm.label,
        "group": arm.group,
        "description": arm.description,
        "recipe": paths[0] if paths else None,
        "recipes": list(paths),
        "draws": len(arm.recipes),
        "gate": decider(arm.recipes[0]),
        "measures": measures(arm, sets, rows, plan.seed, room=plan.room),
        "receipt": receipt(arm, sets, rows),
    }


def _sae(recipe: Recipe) -> dict[str, Any] | None:
    """The SAE of the recipe's first clamp."""
    found = recipe.clamps
    if not found:
        return None
    sae = load_sae(found[0].sae)
    told = {"name": sae.name, "sha256": sae.sha256, "kind": sae.kind, "layer": sae.layer, "latents": sae.n_latents}
    return told | ({"neuronpedia": page} if (page := neuronpedia_of(sae.name)) else {})
