"""The results of a study as plain data: what the report draws and `--json` prints (schema "clampdown-study/1")."""

from collections.abc import Mapping, Sequence
from typing import Any

from clampdown.measuring.judge import JUDGE_VERSION, judge_card
from clampdown.measuring.sets import ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.files import load_sae
from clampdown.studies.arms import Arm, recommended_name
from clampdown.studies.comparisons import comparisons, detectable
from clampdown.studies.examples import examples
from clampdown.studies.matched import matched
from clampdown.studies.measures import Rows, categories, measures, receipt
from clampdown.studies.methods import methods
from clampdown.studies.plan import Plan
from clampdown.studies.report import SCHEMA
from clampdown.studies.scaling import clamps, resolved


def results(
    model: ChatModel,
    recipe: Recipe,
    sets: Sequence[ItemSet],
    plan: Plan,
    arms: Sequence[Arm],
    rows: Rows,
    paths: Mapping[str, Sequence[str]],
    facts: Mapping[str, Any],
    latents: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Everything a report says. `paths` are the arms' recipe files; `facts` hold created, seconds and environment.

    Raises:
        ClampdownError: an arm that should be steered was not.
    """
    told = [_arm(arm, sets, rows, paths[arm.name], plan.seed) for arm in arms]
    asked = [{"name": s.name, "kind": s.kind, "n": len(s.items), "source": s.source, "split": s.split} for s in sets]
    chosen = recommended_name(recipe)
    return {
        "schema": SCHEMA,
        "title": f"{recipe.name} on {model.name}: what its refusals cost",
        **facts,
        "plan": plan.to_dict(),
        "model": {"name": model.name, "sha256": model.sha256},
        "sae": _sae(recipe),
        "recipe": paths[chosen][0],
        "recommended": {
            "name": chosen,
            "path": paths[chosen][0],
            "toml": recipe.to_toml(),
            "why": "This is the recipe as it is, chosen beforehand on the selecting half; these figures are from items "
            "that chose nothing.",
        },
        "sets": asked,
        "arms": told,
        "comparisons": comparisons(arms, sets, rows, plan.seed),
        "matched": matched(told, chosen, asked),
        "detectable": detectable(sets, rows),
        "latents": [dict(latent) for latent in latents] or _latents(recipe),
        "categories": categories(arms, sets, rows),
        "examples": examples(arms, sets, rows, plan.seed),
        "judge": _judge(),
        "methods": methods(arms, sets, plan),
    }


def _judge() -> dict[str, Any]:
    """The judge, and what a blind reading of the bundled model's answers says it is worth."""
    card = judge_card()
    value = {name: [part[name] and part[name]["value"] for part in card["labels"]] for name in ("precision", "recall")}
    return {
        "name": JUDGE_VERSION,
        "note": "Rules on the words of an answer; no model judges. Against a blind reading, by language models, of "
        f"{card['n']} answers of the bundled model, it is right about refusing or not in "
        f"{card['agreement']['value']:.0%}.",
        "labels": [
            {"label": part["label"], "n": part["n"], "precision": precision, "recall": recall}
            for part, precision, recall in zip(card["labels"], value["precision"], value["recall"], strict=True)
        ],
    }


def _arm(arm: Arm, sets: Sequence[ItemSet], rows: Rows, paths: Sequence[str], seed: int) -> dict[str, Any]:
    return {
        "name": arm.name,
        "label": arm.label,
        "group": arm.group,
        "description": arm.description,
        "recipe": paths[0] if paths else None,
        "recipes": list(paths),
        "draws": len(arm.recipes),
        "measures": measures(arm, sets, rows, seed),
        "receipt": receipt(arm, sets, rows),
    }


def _sae(recipe: Recipe) -> dict[str, Any] | None:
    """The SAE of the recipe's first clamp."""
    found = clamps(recipe)
    if not found:
        return None
    sae = load_sae(found[0].sae)
    return {"name": sae.name, "sha256": sae.sha256, "kind": sae.kind, "layer": sae.layer, "latents": sae.n_latents}


def _latents(recipe: Recipe) -> list[dict[str, Any]]:
    """Where nothing else is known of the latents: their numbers and values."""
    return [{"latent": latent, "value": value} for clamp in clamps(recipe) for latent, value in resolved(clamp).items()]
