"""Run a study from start to report; killed at any moment, it goes on where it was."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.engine.engine import Engine
from clampdown.engine.gating import check_fits
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.outside_gate import OutsideGate, decides_outside, need_outside
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.steering.self_test import self_test
from clampdown.studies.arms import Arm, build_arms
from clampdown.studies.batches import CODE, Batch, cut, decisive, swept
from clampdown.studies.damage import checked, told_as_damage
from clampdown.studies.doing import alone, keep, waiting
from clampdown.studies.environment import environment
from clampdown.studies.first import first_names
from clampdown.studies.gated import gate_found
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Column
from clampdown.studies.record import DATABASE, Record, facts, read_record
from clampdown.studies.rendered import ANY_DAY, Rendered, check_steady, template_fingerprint
from clampdown.studies.report import write_report
from clampdown.studies.results import results
from clampdown.studies.store import Store
from clampdown.studies.worker import Worker
from clampdown.writing import json_text, write_whole

if TYPE_CHECKING:
    from clampdown.engine.cluster import Cluster

REPORT, RESULTS, RECIPES = "report.html", "results.json", "recipes"


def study(
    model: ChatModel,
    recipe: Recipe,
    sets: Sequence[ItemSet],
    plan: Plan,
    folder: Path | None = None,
    progress: Progress = quiet,
    *,
    columns: Sequence[Column] = (),
    latents: Sequence[Mapping[str, Any]] = (),
    first_report: Callable[[Mapping[str, Any]], None] = lambda results: None,
    outside: OutsideGate | None = None,
    cluster: "Cluster | None" = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Answer, judge, measure and compare every arm of the plan, and write the report.

    The arms that a study is read by come first (see `first`), and a report of them; the others follow into it.

    Args:
        sets: what is asked; see `material.study_sets`.
        folder: where study.sqlite, report.html, results.json and recipes/ go. None: a folder named after everything
            that decides the study, below clampdown-studies; so the same study goes on, or is there already.
        progress: told the stage `study` in tokens' worth of work.
        columns: attacks, lm-eval's tasks and questions answered in words; see `material.study_columns`.
        latents: what is known of the recipe's latents, for the report.
        outside: who is asked where the recipe's gate decides outside.
        first_report: told the results of the first arms, whose `missing` names the others, once they are written.
        cluster: whose workers do the batches, which give what this process would have given; None does them here.
        engine: who answers prompts, for this model; None for Transformers. Likelihoods are scored by Transformers.

    Returns:
        The results, of schema "clampdown-study/1", as in results.json.

    Raises:
        ClampdownError: recipe, sets and model do not fit; the folder holds another study, or can't be written to; of a
            cluster, see `engine.workers`.
    """
    plan, asked = plan.meant_for(recipe), [*sets, *(column.item_set for column in columns)]
    _check(asked)
    check_steady(model)
    _check_outside(recipe, columns, outside)
    _check_engine(model, cluster, engine)
    check_fits(model, recipe)  # before a database is claimed for a recipe that can't run
    rendered = Rendered(model.at(ANY_DAY), plan)
    identity = identify(model, recipe, asked, plan, rendered, engine) | ({"gate": outside.version} if outside else {})
    folder = Path(folder) if folder is not None else default_folder(recipe, plan, identity)
    own = {column.item_set.name: column for column in columns}
    still = model.at(started := datetime.now())
    # Built and cut first, so that what can't be run or asked leaves no database behind.
    fresh = [] if (folder / DATABASE).exists() else _built(still, recipe, plan, progress)
    first = cut(still, fresh, asked, plan, own, _of(rendered, still), engine)
    with Store(folder / DATABASE) as store:
        store.claim(identity, facts(model, recipe, asked, plan, latents, started, engine))
        if (began := _began(store, started)) != started:  # prompts keep the date on which the study began
            still, fresh = model.at(began), []
        arms = [_found(arm, folder, recipe) for arm in _kept(store)]
        if not arms:
            arms = fresh or _built(still, recipe, plan, progress)
            store.keep("arms", [arm.to_dict() for arm in arms])
        batches = first if arms is fresh else cut(still, arms, asked, plan, own, _of(rendered, still), engine)
        _check_same_prompts(store, batches)
        soon, later = ([*swept(some)] for some in _todo(store, batches, arms))
        groups = [*soon, *later]
        total = sum(batch.cost for group in groups for batch in group)  # what is done counts no more: see the time left
        if cluster is None or not groups:
            doing = alone(Worker(still, arms, plan, store.rows, outside, engine), groups, total, progress)
        else:
            from clampdown.studies.spread import StudyErrand, spread

            errand = StudyErrand(began, arms, plan, groups, outside)
            doing = spread(cluster, still, errand, sets, store.rows, waiting(progress, total))

        def early() -> None:
            progress("study", 0, total, "writing the first report")
            first_report(conclude(read_record(folder)))

        with closing(doing):
            keep(store, doing, asked, total, progress, {id(group) for group in soon}, early if later else None)
    return conclude(read_record(folder))


def conclude(record: Record) -> dict[str, Any]:
    """Write a study's recipes, results.json and report.html beside its database, and return the results.

    They are of the arms that are finished; `missing` names the others.

    Raises:
        ClampdownError: the arms that come first are not finished, one that should be steered was not, or a file can't
            be written.
    """
    folder = record.path.parent
    paths = _save_recipes([_found(arm, folder) for arm in record.arms], folder)
    found = results(record, paths)
    found |= {"report": str(folder / REPORT), "database": str(folder / DATABASE)}
    write_whole(folder / RESULTS, json_text(found, indent=1) + "\n")
    try:
        write_report(_relative(found, folder), folder / REPORT)
    except OSError as error:
        raise ClampdownError(f"could not write {folder / REPORT}: {error.strerror or error}") from error
    return found


def identify(
    model: ChatModel,
    recipe: Recipe,
    sets: Sequence[ItemSet],
    plan: Plan,
    rendered: Rendered,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Everything that decides a study's answers: two studies are one where these are equal.

    rendered: the items as the model reads them on any one day, so that a template that writes the date makes one study.
    """
    asked = [[s.name, s.kind, s.split, s.sha256, [item.id for item in s.items]] for s in sets]
    made = environment(model)
    return {
        "code": CODE,
        "model": model.sha256,
        "recipe": recipe.sha256,
        "sets": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
        "plan": plan.to_dict(),
        "chat template": template_fingerprint(model),
        "tokenization": rendered.digest(sets),
        "end of answers": {"stop ids": sorted(model.stop_ids), "context": model.context_length},
        "libraries and precision": {key: made[key] for key in ("torch", "transformers", "dtype", "device")}
        | {"quantization": model.quantization, "template options": dict(model.template_options or {})}
        | ({"engine": engine.version} if engine else {}),
    }


def default_folder(recipe: Recipe, plan: Plan, identity: Mapping[str, Any]) -> Path:
    """A folder's name that the same study always gets, and no other."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
    words = [re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:40] for text in (recipe.name, plan.name)]
    return Path("clampdown-studies") / "-".join([*filter(None, words), digest])


def _check(sets: Sequence[ItemSet]) -> None:
    names = [item_set.name for item_set in sets]
    if len(set(names)) < len(names):
        raise ClampdownError(f"two sets have the same name ({', '.join(names)}); rename one")
    if not any(item_set.kind is SetKind.UNSAFE for item_set in sets):
        raise ClampdownError("a study of refusal needs a set of unsafe requests; name one, or use the built-in set")


def _check_outside(recipe: Recipe, columns: Sequence[Column], outside: OutsideGate | None) -> None:
    """A gate that decides outside needs somebody to ask, and prompts that can be shown to them."""
    if not decides_outside(recipe):
        return
    need_outside(outside, recipe)
    for column in columns:
        if column.item_set.kind is SetKind.CAPABILITY:
            raise ClampdownError(
                f"{column.item_set.name} can't be asked of a gate that decides outside, so it can't be measured under "
                "one; leave it out, or name a set of questions with choices"
            )


def _check_engine(model: ChatModel, cluster: "Cluster | None", engine: Engine | None) -> None:
    """An engine answers for the study's model, and here."""
    if engine is None:
        return
    if cluster is not None:
        raise ClampdownError("a cluster's workers answer by Transformers: leave out the cluster, or the engine")
    if engine.model.sha256 != model.sha256:
        raise ClampdownError(f"the engine answers for {engine.model.name}, and the study is of {model.name}")
    if decisive(engine.model) != decisive(model):
        raise ClampdownError("the engine was made for this model in another dtype or template: make one for this")


def _kept(store: Store) -> list[Arm]:
    """The arms that the study began with, which going on later means going on with; none if it did not begin yet."""
    kept = store.meta("arms") or []
    with told_as_damage(store.path, "its arms"):
        return [checked(Arm.from_dict(arm)) for arm in kept]


def _found(arm: Arm, folder: Path, given: Recipe | None = None) -> Arm:
    """The arm, its gate's file found where that has moved since: in the study's own folder, or as the recipe has it."""

    def found(recipe: Recipe | None) -> Recipe | None:
        if recipe is None or recipe.gate is None:
            return recipe
        other = given.gate.file if given and given.gate and given.gate.sha256 == recipe.gate.sha256 else ""
        places = [folder / RECIPES / recipe.gate.kept_name, *([Path(other)] if other else [])]
        return gate_found(recipe, places)

    return replace(arm, recipes=tuple(map(found, arm.recipes)))


def _began(store: Store, started: datetime) -> datetime:
    """When the study began, for a chat template that writes the date."""
    kept = store.meta("template")
    with told_as_damage(store.path, "when it began"):
        return started if kept["moment"] is None else datetime.fromisoformat(kept["moment"])


def _of(rendered: Rendered, model: ChatModel) -> Rendered:
    """What is rendered already, if it was for this model's template."""
    return rendered if rendered.model is model else Rendered(model, rendered.plan)


def _check_same_prompts(store: Store, batches: Sequence[Batch]) -> None:
    """No arm answers two prompts for one item: what is there must be what would be asked now."""
    if store.finished() - {batch.key for batch in batches}:
        raise ClampdownError(
            f"{store.path} holds answers to other prompts than would be asked now, so it can't go on; name another "
            "folder, or delete it"
        )


def _built(model: ChatModel, recipe: Recipe, plan: Plan, progress: Progress) -> list[Arm]:
    progress("arms", 0, 1, "checking the recipe, matching the controls")
    self_test(model, recipe)
    arms = build_arms(model, recipe, plan)
    progress("arms", 1, 1, f"{len(arms)} arms")
    return arms


def _todo(store: Store, batches: Sequence[Batch], arms: Sequence[Arm]) -> tuple[list[Batch], list[Batch]]:
    """The batches that are not done yet: the first arms', and the others'."""
    done, names = store.finished(), first_names([arm.name for arm in arms])
    todo = [batch for batch in batches if batch.key not in done]
    return [b for b in todo if b.arm.name in names], [b for b in todo if b.arm.name not in names]


def _save_recipes(arms: Sequence[Arm], folder: Path) -> dict[str, list[str]]:
    """Write every arm's recipes, and say where: one path a draw."""
    paths: dict[str, list[str]] = {}
    for arm in arms:
        paths[arm.name] = []
        for draw, recipe in enumerate(arm.recipes, 1):
            if recipe is not None:
                name = arm.name if len(arm.recipes) == 1 else f"{arm.name}-{draw}"
                path = folder / RECIPES / f"{name}.toml"
                recipe.save(path)
                paths[arm.name].append(str(path))
    return paths


def _relative(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The results as the report shows them: paths as seen from the folder, which may move."""

    def seen(path: str | None) -> str | None:
        return None if path is None else os.path.relpath(path, folder)

    arms = [arm | {"recipe": seen(arm["recipe"])} for arm in found["arms"]]
    recommended = found["recommended"]
    return found | {"arms": arms, "recommended": recommended and recommended | {"path": seen(recommended["path"])}}
