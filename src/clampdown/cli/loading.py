"""Load a model with something to look at meanwhile."""

import argparse
from typing import TYPE_CHECKING

from clampdown.progress import Progress

if TYPE_CHECKING:
    from clampdown.library import Model


def load_model(name: str | None, args: argparse.Namespace, progress: Progress) -> "Model":
    """The model of that name, as the options of `add_placing` say; None is the bundled one."""
    progress("loading the model", 0, 0, name or "")
    from clampdown import library

    return library.load(
        name or library.NAME,
        dtype=args.dtype,
        device_map=args.device_map,
        quantization=args.quantization,
        revision=args.revision,
        template_options={"enable_thinking": False} if args.no_thinking else None,
    )
