"""Load a model with something to look at meanwhile."""

import argparse
from typing import TYPE_CHECKING

from clampdown.cli.interrupts import checkpoint
from clampdown.progress import Progress

if TYPE_CHECKING:
    from clampdown.library import Model


def load_model(name: str | None, args: argparse.Namespace, progress: Progress) -> "Model":
    """The model of that name, as the options of `add_placing` say; None is the bundled one.

    One without a chat template is refused before its weights are read, unless the command also takes plain text.
    """
    progress("loading the model", 0, 0, name or "")
    from clampdown import library
    from clampdown.models.chat_model import load_chat_model  # the libraries, while which Ctrl-C is lost most easily

    checkpoint()  # before the weights, which may take minutes

    loaded = load_chat_model(
        name or library.NAME,
        dtype=args.dtype,
        device_map=args.device_map,
        quantization=args.quantization,
        revision=args.revision,
        chat_template=args.chat_template,
        thinking=not args.no_thinking,
        chat=not getattr(args, "plain_text", False),
    )
    return library.Model(loaded)
