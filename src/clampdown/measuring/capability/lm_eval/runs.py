"""What a recipe, or several at once, score on each item of lm-eval's tasks."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from clampdown.measuring.capability.lm_eval.tasks import Tasks, TaskSettings, lm_eval_at_work, load_tasks, question
from clampdown.measuring.judging.default.judge import judge
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.receipt import Receipt, joined

_SEED = 1234
"""lm-eval's default for all its draws but Python's own, which start from 0."""


@dataclass(frozen=True)
class TaskItem:
    """What one item of a task gave.

    Attributes:
        item: the task's name and the item's number in it; the same for every recipe.
        doc_hash: lm-eval's hash of the item's content.
        prompt: all that the model read, examples and template included.
        metrics: each metric (named "metric,filter", as in lm-eval's results) of this item alone; the task's first one
            comes first.
        text, label: a generated answer and what the judge makes of it as an answer to the item's own question.
        scores, chosen: each choice's log-likelihood (nats), and which is highest, from 0.
    """

    task: str
    item: str
    doc_hash: str
    prompt: str
    metrics: dict[str, float]
    receipt: Receipt
    text: str | None = None
    label: str | None = None
    scores: tuple[float, ...] = ()
    chosen: int | None = None


@dataclass(frozen=True)
class TaskRun:
    """All items under one recipe, lm-eval's own results by task and group, and what ran."""

    items: list[TaskItem]
    results: dict[str, dict[str, Any]]
    facts: dict[str, Any]


def run_tasks(
    model: ChatModel,
    recipe: Recipe | None,
    tasks: Tasks | Sequence[str],
    settings: TaskSettings | None = None,
    *,
    items: Sequence[str] | None = None,
) -> TaskRun:
    """Run lm-eval tasks under a recipe, or under none; the scores are those of lm-eval's own model.

    Args:
        tasks: their names, or tasks that are loaded already (then with their own settings).
        items: run these items only, named as in `Tasks.item_set`.

    Raises:
        ClampdownError: lm-eval is not installed, a task or an item is unknown or its data can't be had, or the recipe
            could not be applied.
    """
    loaded = _loaded(tasks, settings)
    with lm_eval_at_work():
        from clampdown.measuring.capability.lm_eval.model import SteeredLM

        lm = SteeredLM(model, recipe, batch_size=loaded.settings.batch_size, softmax_dtype="float32")
        return _run(lm, loaded, items)


def run_tasks_sweep(
    model: ChatModel,
    recipes: Sequence[Recipe | None],
    tasks: Tasks | Sequence[str],
    settings: TaskSettings | None = None,
    *,
    items: Sequence[str] | None = None,
) -> list[TaskRun]:
    """The same under several recipes, running once what they share: [recipe], the same scores to rounding.

    Recipes share where their system prompts are equal.
    """
    loaded = _loaded(tasks, settings)
    runs: dict[int, TaskRun] = {}
    kinds = [recipe.system_prompt if recipe else "" for recipe in recipes]
    with lm_eval_at_work():
        from clampdown.measuring.capability.lm_eval.sweep import SweepLM

        for kind in dict.fromkeys(kinds):
            places = [place for place, own in enumerate(kinds) if own == kind]
            lm = SweepLM(model, [recipes[place] for place in places], batch_size=loaded.settings.batch_size)
            for arm, place in enumerate(places):
                lm.turn_to(arm)
                runs[place] = _run(lm, loaded, items)
    return [runs[place] for place in range(len(recipes))]


def _loaded(tasks: Tasks | Sequence[str], settings: TaskSettings | None) -> Tasks:
    return tasks if isinstance(tasks, Tasks) else load_tasks(tasks, settings)


def _run(lm: Any, tasks: Tasks, items: Sequence[str] | None) -> TaskRun:
    from lm_eval.evaluator import evaluate

    found, numbers = tasks.only(items)
    random.seed(0)
    np.random.seed(_SEED)
    torch.manual_seed(_SEED)
    for task in found["tasks"].values():
        task.set_fewshot_seed(seed=_SEED)
    body = evaluate(
        lm,
        found,
        limit=None if numbers else tasks.settings.limit,
        samples=numbers or None,
        bootstrap_iters=0,
        apply_chat_template=tasks.settings.chat,
        fewshot_as_multiturn=tasks.settings.chat,
    )
    facts = lm.facts()
    given = [
        item
        for name, task in found["tasks"].items()
        for item in _items(name, task, body["samples"][name], lm.receipts, numbers.get(name))
    ]
    if items is not None:
        by_name = {item.item: item for item in given}
        given = [by_name[name] for name in items]
    return TaskRun(given, {**body["results"], **body.get("groups", {})}, facts)


def _items(
    name: str, task: Any, samples: Sequence[dict[str, Any]], receipts: Any, numbers: list[int] | None
) -> Iterator[TaskItem]:
    """One item for each of lm-eval's documents; it logs a sample for every filter."""
    by_doc: dict[int, list[dict[str, Any]]] = {}
    for sample in samples:
        by_doc.setdefault(sample["doc_id"], []).append(sample)
    for number, some in by_doc.items():
        first = some[0]
        metrics = {
            f"{metric},{sample['filter']}": value
            for sample in some
            for metric in sample["metrics"]
            if (value := _alone(task, metric, sample[metric])) is not None
        }
        counted = numbers.index(number) if numbers else number  # requests are numbered as they were chosen
        yield TaskItem(
            task=name,
            item=f"{name}-{number}",
            doc_hash=first["doc_hash"],
            prompt=str(first["arguments"][0][0]),
            metrics=metrics,
            receipt=joined(receipts.get((name, counted), [])),
            **_response(task, first["doc"], first["resps"]),
        )


def _response(task: Any, document: Any, responses: Sequence[Any]) -> dict[str, Any]:
    if task.OUTPUT_TYPE == "generate_until":
        text = responses[0][0]
        # Judged against the document's own question: words of the examples would excuse what it did not ask for.
        return {"text": text, "label": str(judge(question(task, document), text))}
    if task.OUTPUT_TYPE == "multiple_choice":
        scores = tuple(float(each[0][0]) for each in responses)
        return {"scores": scores, "chosen": scores.index(max(scores))}
    return {}


def _alone(task: Any, metric: str, value: Any) -> float | None:
    """A metric of one item: lm-eval's own aggregate of that item alone. None where one item gives none."""
    combine = task.aggregation().get(metric)
    try:
        found = float(combine([value]) if combine else value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return found if math.isfinite(found) else None
