"""A Ray cluster: how it is named, joined or started here, and for how many workers it has room."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from clampdown.errors import ClampdownError, reason
from clampdown.progress import Progress, quiet

_STARTS = 4
"""How often a cluster of this machine's is tried to start."""


@dataclass(frozen=True)
class Cluster:
    """Where workers run.

    Attributes:
        address: a Ray cluster's, such as "auto" or "head:6379"; empty is the one that $RAY_ADDRESS names, or else one
            that is started here and ends with the work.
        workers: how many at most; None is one a GPU, or on CPUs as many as have this process' threads.
    """

    address: str = ""
    workers: int | None = None


def need_ray() -> Any:
    """The module. Raises ClampdownError where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise ClampdownError(f"--ray needs Ray ({error}): pip install 'clampdown[ray]'") from error
    return ray


@contextmanager
def joined(cluster: Cluster, progress: Progress = quiet) -> Iterator[Any]:
    """Ray, on the cluster; one that this began ends with it.

    Raises:
        ClampdownError: Ray is missing, or the cluster can't be reached.
    """
    ray = need_ray()
    begun = not ray.is_initialized()
    if begun:
        progress("starting", 0, 0, "Ray")
        _begin(ray, cluster)
    try:
        yield ray
    finally:
        if begun:
            ray.shutdown()


def _begin(ray: Any, cluster: Cluster) -> None:
    """Join the cluster, or start one here that has room for as many workers as are asked for."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    quietly = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    address = cluster.address or os.environ.get("RAY_ADDRESS", "")
    try:
        if address:
            ray.init(address=address, **quietly)
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        cpus = max(os.cpu_count() or 1, (cluster.workers or 1) * torch.get_num_threads())
        _started(ray, num_cpus=cpus, **quietly)
    except Exception as error:  # Ray raises a dozen kinds, of which some are no RayError
        named = f"at {address} can't be reached" if address else "can't be started here"
        raise ClampdownError(f"a Ray cluster {named}: {ray_reason(error)}") from error


def _started(ray: Any, **options: Any) -> None:
    """Start a cluster of this machine's. Ray gives it half a minute; where other work is going on, it needs more."""
    for left in reversed(range(_STARTS)):
        try:
            ray.init(address="local", include_dashboard=False, **options)
            return
        except Exception as error:  # Ray has no name for this one
            if not left or "timed out" not in str(error):
                raise
            ray.shutdown()


def room(ray: Any, on_gpus: bool) -> int:
    """For how many workers a cluster has room.

    Raises:
        ClampdownError: for none, or it has GPUs, and this process has none.
    """
    free, all_of_it = ray.available_resources(), ray.cluster_resources()
    if all_of_it.get("GPU", 0) >= 1 and not on_gpus:
        raise ClampdownError(
            "the cluster has GPUs, and this machine's model is on its CPU, so their answers could differ; start this "
            "command where a GPU is, such as by `ray job submit --entrypoint-num-gpus 1`"
        )
    key, need = ("GPU", 1) if on_gpus else ("CPU", torch.get_num_threads())
    if all_of_it.get(key, 0) < need:
        raise ClampdownError(
            f"the cluster has no room for one worker, which needs {need} {key}{'s' if need > 1 else ''}"
            + ("" if on_gpus else "; set OMP_NUM_THREADS to fewer")
        )
    return max(1, int(free.get(key, 0) // need))


def ray_reason(error: BaseException) -> str:
    """The line of what an exception says that tells most: of a traceback its last, else the first."""
    first = reason(error)
    if "creation task" in first or "Traceback" in str(error):
        first = str(error).strip().splitlines()[-1].strip()
    return first.rstrip(".")
