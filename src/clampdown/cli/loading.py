"""Load a model with something to look at meanwhile."""

import argparse
from typing import TYPE_CHECKING

from clampdown.cli.interrupts import checkpoint
from clampdown.progress import Progress

if TYPE_CHECKING:
    from clampdown.library import Model


def load_model(name: str | None, args: argparse.Namespace, progress: Progress) -> "Model":
    """The model of that name, as the options of `add_placing` say; None is the bundled one."""
    progress("loading the model", 0, 0, name or "")
    from clampdown import library
    from clampdown.models import chat_model  # noqa: F401  # the libraries, while which Ctrl-C is lost most easily

    checkpoint()  # before the weights, which may take minutes

    return library.load(
        name or library.NAME,
        dtype=args.dtype,
        device_map=args.device_map,
        quantization=args.quantization,
        revision=args.revision,
        template_options={"enable_thinking": False} if args.no_thinking else None,
    )
