"""Ray workers that hold a model each: tasks go to whichever is free, and one that is lost is replaced.

What a worker gives is what this process would have given: it loads the same weights in the same precision, runs on as
many threads, and is refused where its libraries or its device differ.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from clampdown.engine.cluster import Cluster, joined, ray_reason, room
from clampdown.engine.tasks import Task, Tasks
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.progress import Progress, quiet

_LOSSES = 3
"""A place whose workers end so often before they are ready is given up."""


class Errand(Protocol):
    """What workers are for. It is sent to each of them once, so it is pickled."""

    def facts(self, model: ChatModel) -> Mapping[str, Any]:
        """What must be the same on every worker as in this process."""

    def begin(self, model: ChatModel) -> Callable[[Any], Any]:
        """What does one task after the other, from what `Task.given` makes."""


@dataclass
class _Worker:
    """An actor and what it is at."""

    actor: Any
    losses: int = 0
    ready: bool = False
    last: Task | None = None
    task: Task | None = None


@dataclass(frozen=True)
class _Loading:
    """How a worker loads the model that this process has."""

    arguments: Mapping[str, Any]
    folder: str
    threads: int

    def load(self) -> ChatModel:
        with suppress(OSError):  # where there is no such folder, paths that are not absolute lead nowhere
            os.chdir(self.folder)
        torch.set_num_threads(self.threads)
        return load_chat_model(**self.arguments)


class Holder:
    """Lives in a worker's process."""

    def __init__(self, loading: _Loading, errand: Errand) -> None:
        self.loading, self.errand = loading, errand
        self._do: Callable[[Any], Any] | None = None

    def ready(self) -> dict[str, Any]:
        """Load the model, and tell what must be as in the driver."""
        model = self.loading.load()
        self._do = self.errand.begin(model)
        return dict(self.errand.facts(model))

    def do(self, given: Any) -> tuple[Any, float]:
        """What a task gives, and the seconds it took."""
        assert self._do is not None
        start = time.monotonic()
        return self._do(given), time.monotonic() - start


@dataclass
class Pool:
    """Workers on a cluster. Make one with `pool`."""

    ray: Any
    model: ChatModel
    errand: Errand
    count: int
    on_gpus: bool
    facts: Mapping[str, Any]
    progress: Progress = quiet
    _workers: list[_Worker] = field(default_factory=list)
    _running: dict[Any, _Worker] = field(default_factory=dict)

    def results(self, tasks: Tasks) -> Iterator[tuple[Task, Any, float]]:
        """Each task with what it gave and the seconds it took, as they end.

        Raises:
            ClampdownError: a task failed, as it would in this process; workers are lost again and again, or differ.
        """
        try:
            while tasks.left:
                self._hand_out(tasks)
                ended, _ = self.ray.wait(list(self._running), num_returns=1, timeout=1.0)
                busy = sum(worker.task is not None for worker in self._workers)
                self.progress("workers", 0, 0, f"{busy} of {self.count} workers at work")  # and Ctrl-C is heard
                for ref in ended:
                    if (found := self._ended(ref, tasks)) is not None:
                        yield found
        finally:
            self._dismiss()

    def _hand_out(self, tasks: Tasks) -> None:
        while len(self._workers) < min(self.count, tasks.left):
            self._workers.append(self._hired())
        for worker in self._workers:
            if worker.ready and worker.task is None and (task := tasks.next(worker.last)) is not None:
                worker.task = worker.last = task
                self._running[worker.actor.do.remote(task.given())] = worker

    def _hired(self, losses: int = 0) -> _Worker:
        threads = torch.get_num_threads()
        placed = {"num_cpus": 1, "num_gpus": 1} if self.on_gpus else {"num_cpus": threads, "num_gpus": 0}
        loading = _Loading(_arguments(self.model), os.getcwd(), threads)
        actor = self.ray.remote(**placed)(Holder).remote(loading, self._sent)
        worker = _Worker(actor, losses)
        self._running[actor.ready.remote()] = worker
        return worker

    @cached_property
    def _sent(self) -> Any:
        """The errand in Ray's store: sent once to each machine, however many workers it has."""
        try:
            return self.ray.put(self.errand)
        except Exception as error:  # whatever pickling says of what it can't send
            raise ClampdownError(
                f"this work can't be sent to workers ({ray_reason(error)}); leave --ray out"
            ) from error

    def _ended(self, ref: Any, tasks: Tasks) -> tuple[Task, Any, float] | None:
        """What a worker's call gave; None where it gave no result. A worker that is gone is replaced."""
        worker = self._running.pop(ref)
        try:
            told = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as error:
            raise _failed(error, worker.task) from error
        except self.ray.exceptions.RayError as error:
            self._replace(worker, tasks, ray_reason(error))
            return None
        if worker.task is None:
            self._check_same(told)
            worker.ready, worker.losses = True, 0
            return None
        task, worker.task = worker.task, None
        tasks.done(task)
        return (task, *told)

    def _replace(self, worker: _Worker, tasks: Tasks, why: str) -> None:
        self._workers.remove(worker)
        with suppress(Exception):  # it may be out of reach rather than gone, and must not come back
            self.ray.kill(worker.actor)
        if worker.task is not None:
            tasks.lost(worker.task, why)
        losses = worker.losses + (not worker.ready)
        if losses < _LOSSES:
            self._workers.append(self._hired(losses))
            return
        self.count -= 1
        if self.count == 0:
            raise ClampdownError(f"no worker lives long enough to load {self.model.name}: {why}. What is done is kept")

    def _check_same(self, told: Mapping[str, Any]) -> None:
        for key, value in self.facts.items():
            if told.get(key) != value:
                raise ClampdownError(
                    f"a worker has another {key} ({told.get(key)}) than this machine ({value}), so its answers could "
                    "differ; start this command on a machine like the workers, with the same packages"
                )

    def _dismiss(self) -> None:
        for worker in self._workers:
            with suppress(Exception):
                self.ray.kill(worker.actor)
        self._workers, self._running = [], {}


@contextmanager
def pool(cluster: Cluster, model: ChatModel, errand: Errand, progress: Progress = quiet) -> Iterator[Pool]:
    """Workers on a cluster; a local one is started and ended where none is named. They come as tasks do.

    Raises:
        ClampdownError: Ray is missing, the cluster can't be reached, or has no room for a worker.
    """
    on_gpus = model.device.type == "cuda"
    with joined(cluster, progress) as ray:
        there, facts = room(ray, on_gpus), errand.facts(model)
        with _aside(model):
            yield Pool(ray, model, errand, cluster.workers or there, on_gpus, facts, progress)


@contextmanager
def _aside(model: ChatModel) -> Iterator[None]:
    """This process' own weights out of the GPU that a worker may be given, where they are on one."""
    device = model.device
    movable = device.type == "cuda" and not model.quantization and not getattr(model.hf, "hf_device_map", None)
    if movable:
        model.hf.to("cpu")
        torch.cuda.empty_cache()
    try:
        yield
    finally:
        if movable:
            model.hf.to(device)


def _arguments(model: ChatModel) -> dict[str, Any]:
    """What `load_chat_model` is told to load this model: in the precision that it has, whatever was wished.

    Which GPU is a worker's, Ray says.
    """
    told = dict(model.loaded_by) or {"name": str(Path(model.folder).absolute())}
    told["dtype"] = str(model.dtype).removeprefix("torch.")
    if str(told.get("device") or "").startswith("cuda"):
        told["device"] = None
    return told


def _failed(error: Any, task: Task | None) -> ClampdownError:
    """What a worker raised, as one line; ours say themselves what to do."""
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, ClampdownError):
        return ClampdownError(str(cause))
    named = f" over {task.title}" if task else ""
    return ClampdownError(f"a worker failed{named}: {type(cause).__name__}: {ray_reason(cause)}. What is done is kept")
