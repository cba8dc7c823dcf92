"""A task of lm-eval's, or a group of them, as a column of a study: its documents as a set, its metrics in rows."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from clampdown.engine.blocks import Split
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.lm_eval.runs import TaskItem, TaskRun, run_tasks, run_tasks_sweep
from clampdown.measuring.capability.lm_eval.tasks import Tasks, TaskSettings, load_tasks
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, loops
from clampdown.measuring.sets.sets import LM_EVAL, ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.studies.arms import Arm
from clampdown.studies.decisions import of_receipt
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Asked, by_draw, cut
from clampdown.studies.store import Row

_MANY = 4
"""A batch of the study holds this many times the plan's rows: what its items share is run once for all of them."""
_SHARE = 8
"""lm-eval's own batches hold this many times fewer: they keep the logits of every position."""
_LONGEST = 256
"""lm-eval's limit of an answer, in tokens, where a task names none."""


@dataclass(frozen=True)
class TaskColumn:
    """Tasks that are loaded, and some of their items."""

    tasks: Tasks
    item_set: ItemSet
    sweeps: bool = True

    @property
    def yes_or_no(self) -> bool:
        """Text to predict gives neither."""
        return all(task.OUTPUT_TYPE != "loglikelihood_rolling" for task in self.tasks.found["tasks"].values())

    def chunks(self, draws: int, plan: Plan) -> Iterator[tuple[int, ...]]:
        """The same for all arms, however many draws they have: examples can hang on the items that come before."""
        del draws
        for mine in by_draw(range(len(self.item_set.items)), plan.draws):
            yield from cut(mine, _MANY * plan.batch)

    def work(self, place: int, plan: Plan) -> Mapping[str, int]:
        """Estimated: an example is taken to be as long as the question, and choices to be read one by one."""
        item = self.item_set.items[place]
        task = self.tasks.found["tasks"][item.category]
        prompt = len(item.text) * (1 + (task.get_config("num_fewshot") or 0))
        read = (prompt * max(1, len(item.choices)) + sum(map(len, item.choices))) // 4
        if task.OUTPUT_TYPE == "generate_until":
            most = (task.get_config("generation_kwargs") or {}).get("max_gen_toks", _LONGEST)
            return {"answers": 1, "tokens_generated": most, "tokens_read": prompt // 4}
        return {"passages" if task.OUTPUT_TYPE == "loglikelihood_rolling" else "questions": 1, "tokens_read": read}

    def run(self, asked: Asked, arms: Sequence[Arm]) -> list[list[Row]]:
        """All arms at once: the blocks that none of them edits run once, and so do the examples' tokens."""
        places, items = asked.places, self.item_set.items
        names = [items[place].id for place in places]
        runs = _runs(asked.model, [arm.recipe_for(places[0]) for arm in arms], self.tasks, names)
        return [
            [
                _row(place, places[0] % len(arm.recipes), given, items[place].text)
                for place, given in zip(places, taken.items, strict=True)
            ]
            for arm, taken in zip(arms, runs, strict=True)
        ]


def task_column(name: str, plan: Plan, settings: TaskSettings | None = None) -> TaskColumn:
    """The column of `lm-eval:` and a task, a group, or several with commas between them.

    At most the plan's number of items is taken, drawn over all the tasks.

    Raises:
        ClampdownError: lm-eval is not installed, a task is unknown, its data can't be had, or an arm can't run on it.
    """
    given = settings or TaskSettings()
    if not given.chat and "system-prompt" in plan.arms:
        raise ClampdownError(
            "without the chat template lm-eval's tasks have no place for a system prompt; leave the arm system-prompt "
            "out of the plan's arms, or set chat = true"
        )
    asked = replace(given, limit=None, batch_size=max(1, plan.batch // _SHARE))
    tasks = load_tasks([part.strip() for part in name.removeprefix(LM_EVAL).split(",") if part.strip()], asked)
    whole, engine = tasks.item_set(), version("lm-eval")
    digest = hashlib.sha256(json.dumps([whole.sha256, engine]).encode()).hexdigest()
    shots = "the task's own number of examples" if given.few_shot is None else f"{given.few_shot} examples"
    source = f"lm-eval {engine}, {shots}, {'as a chat' if given.chat else 'as plain text'}"
    item_set = replace(whole, source=source, sha256=digest)
    return TaskColumn(tasks, item_set.sample(plan.limit("capability"), plan.seed))


def _runs(model: ChatModel, recipes: Sequence[Recipe | None], tasks: Tasks, names: Sequence[str]) -> list[TaskRun]:
    try:
        Split(model, model.n_layers - 1)
    except ClampdownError:  # this model's upper blocks can't be run alone, so nothing can be shared
        return [run_tasks(model, recipe, tasks, items=names) for recipe in recipes]
    return run_tasks_sweep(model, recipes, tasks, items=names)


def _row(place: int, draw: int, given: TaskItem, question: str) -> Row:
    """question: without the examples that the prompt holds, for they may ask for repetition."""
    return Row(
        place,
        given.item,
        draw,
        given.prompt,
        text=given.text,
        label=given.label,
        judge=given.label and JUDGE_VERSION,
        receipt=given.receipt.to_dict(),
        scores=list(given.scores) or None,
        metrics=given.metrics,
        looping=None if given.label is None else loops(question, given.text or ""),
        gate=of_receipt(given.receipt.to_dict()),
    )
