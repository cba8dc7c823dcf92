"""lm-eval's tasks, its own or from a folder of task files, as sets of items."""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import LM_EVAL, Item, ItemSet


@dataclass(frozen=True)
class TaskSettings:
    """How tasks are asked; all of it decides scores.

    Attributes:
        include_path: a folder of task files besides lm-eval's own.
        limit: at most so many items of each task, from its start.
        few_shot: worked examples in each prompt; None is each task's own number.
        chat: whether prompts are rendered with the chat template, examples as turns.
    """

    include_path: Path | None = None
    limit: int | None = None
    few_shot: int | None = None
    chat: bool = True
    batch_size: int = 16


@dataclass(frozen=True)
class Tasks:
    """Tasks that are loaded: what lm-eval loaded, by name, and how to ask them."""

    names: tuple[str, ...]
    settings: TaskSettings
    found: Any

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by name: what lm-eval loads holds functions that can't be, and is loaded again instead."""
        return load_tasks, (self.names, self.settings)

    def only(self, items: Sequence[str] | None) -> tuple[Any, dict[str, list[int]]]:
        """What lm-eval loaded of the tasks that have any of these items, and their documents' numbers.

        None takes all items: then there are no numbers, and lm-eval counts by itself.

        Raises:
            ClampdownError: an item of no task here.
        """
        if items is None:
            return self.found, {}
        chosen: dict[str, list[int]] = {}
        for item in items:
            task, _, number = item.rpartition("-")
            if task not in self.found["tasks"] or not number.isdigit():
                raise ClampdownError(f"item {item} is of none of the tasks {', '.join(self.names)}")
            chosen.setdefault(task, []).append(int(number))
        some = {name: self.found["tasks"][name] for name in chosen}
        return {"tasks": some, "groups": {}, "group_map": {}}, {name: sorted(at) for name, at in chosen.items()}

    def item_set(self) -> ItemSet:
        """The tasks' items, as a set of capability; its hash is of the documents and of how they are asked.

        An item is called after its task and its number there, and its category is the task.
        """
        with lm_eval_at_work():
            digest, items = hashlib.sha256(), []
            for name, task in self.found["tasks"].items():
                settings = [task.dump_config(), self.settings.chat]
                digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
                for number, document in task.doc_iterator(limit=self.settings.limit):
                    digest.update(json.dumps(document, sort_keys=True, default=str).encode())
                    items.append(_item(name, number, task, document))
        name = LM_EVAL + ",".join(self.names)
        return ItemSet(name, SetKind.CAPABILITY, name, digest.hexdigest(), tuple(items))


def load_tasks(names: Sequence[str], settings: TaskSettings | None = None) -> Tasks:
    """Load tasks and groups of tasks by name.

    Raises:
        ClampdownError: lm-eval is not installed, a task is unknown, or its data can't be had.
    """
    asked = settings or TaskSettings()
    folder = asked.include_path
    if folder is not None and not Path(folder).is_dir():
        raise ClampdownError(f"no folder {folder} to take lm-eval tasks from")
    with lm_eval_at_work():
        from lm_eval.tasks import TaskManager

        own = TaskManager(include_path=str(folder), include_defaults=False) if folder else None
        # Reading lm-eval's own thousands of files takes seconds; not needed where the folder has all that is asked.
        manager = own if own and set(names) <= set(own.all_tasks) else TaskManager(include_path=folder and str(folder))
        missing = [name for name in names if name not in manager.all_tasks]
        if missing or not names:
            raise ClampdownError(
                f"lm-eval knows no task {', '.join(missing) or '(none named)'}; see `lm-eval ls tasks`"
            )
        found = manager.load(list(names))
        for task in found["tasks"].values():
            shots = task.get_config("num_fewshot")
            if shots is None or (asked.few_shot is not None and shots != 0):  # 0 is a task's firm wish
                task.set_config(key="num_fewshot", value=asked.few_shot or 0)
    return Tasks(tuple(names), asked, found)


_UNKNOWN = "Tasks not found:"
"""What lm-eval says first of names that it has no task for."""


@contextlib.contextmanager
def lm_eval_at_work() -> Iterator[None]:
    """Quiet within, and with lm-eval's errors as ours, on one line: they are about tasks and their data."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except ModuleNotFoundError as error:
        raise need(error) from error
    except (ClampdownError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # datasets, YAML files and templates each raise their own kinds
        raise told(error) from error


def need(error: ModuleNotFoundError) -> ClampdownError:
    """What to install where lm-eval, or something that a task of it wants, is missing."""
    if error.name == "lm_eval":
        return ClampdownError("lm-eval is not installed: pip install 'clampdown[eval]'")
    return ClampdownError(f"this lm-eval task needs the module {error.name}; install it")


def told(error: Exception) -> ClampdownError:
    """An error of lm-eval's, or of what it uses, as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith(_UNKNOWN):
        names = lines[0].removeprefix(_UNKNOWN).strip()
        return ClampdownError(f"lm-eval knows no task {names}; see `lm-eval ls tasks`, and --include_path for your own")
    network = isinstance(error, ConnectionError | TimeoutError)
    remedy = "check the network, or have the task's data in the cache" if network else "check the task and its data"
    return ClampdownError(f"lm-eval stopped: {lines[0] if lines else '?'} ({type(error).__name__}); {remedy}")


def question(task: Any, document: Any) -> str:
    """What a document asks, without the examples and the template around it; what it says where it asks nothing."""
    return str(task.doc_to_text(document)) or str(task.doc_to_target(document))


def _item(name: str, number: int, task: Any, document: Any) -> Item:
    target = task.doc_to_target(document)
    choices = task.doc_to_choice(document) if task.get_config("doc_to_choice") is not None else []
    answer = target if isinstance(target, int) and not isinstance(target, bool) else -1
    item = f"{name}-{number}"
    return Item(item, question(task, document), name, item, tuple(map(str, choices)), answer)
