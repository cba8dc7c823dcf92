"""`--ray`: on whose workers a command does its work."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from clampdown.cli.options import positive
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.engine.cluster import Cluster


def add_cluster(parser: argparse.ArgumentParser) -> None:
    said = (
        "do the work on a Ray cluster's workers: its address, or auto for the one that runs here; without one, on "
        "$RAY_ADDRESS or workers of this machine"
    )
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="", help=said)
    said = "workers at most (default: one a GPU, or one a CPU thread of $OMP_NUM_THREADS)"
    parser.add_argument("--ray-workers", metavar="N", type=positive, help=said)


def read_cluster(args: argparse.Namespace) -> "Cluster | None":
    """What the options say; None where the work is done here.

    Raises:
        ClampdownError: Ray is not installed, or the options don't fit together.
    """
    if args.ray is None:
        if args.ray_workers:
            raise ClampdownError("--ray-workers is for work on a Ray cluster; add --ray")
        return None
    if args.ray.endswith(".toml") or Path(args.ray).is_file():
        raise ClampdownError(f"--ray takes a cluster's address, and {args.ray} is a file; write the file before --ray")
    from clampdown.engine.cluster import Cluster, need_ray

    need_ray()
    return Cluster(args.ray, args.ray_workers)
