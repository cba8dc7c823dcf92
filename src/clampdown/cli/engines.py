"""The engine that a command's answers come from."""

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING

from clampdown.errors import ClampdownError
from clampdown.progress import Progress

if TYPE_CHECKING:
    from clampdown.engine.engine import Engine
    from clampdown.models.chat_model import ChatModel


def check_engine(args: argparse.Namespace) -> None:
    """Before a model is loaded: raises ClampdownError where `--engine` is not there, or can't go with other options."""
    _check_options(args)
    if args.engine == "vllm" and find_spec("vllm") is None:
        raise ClampdownError("--engine vllm needs vllm; docs/vllm.md says how to install it")


def _check_options(args: argparse.Namespace) -> None:
    for name in ("quantization", "device_map"):
        if args.engine == "vllm" and getattr(args, name):
            option = name.replace("_", "-")
            raise ClampdownError(f"--engine vllm reads the model's folder itself; leave out --{option}")


def engine_named(
    args: argparse.Namespace, model: "ChatModel", most: int, progress: Progress, *, keep: bool = False
) -> "Engine":
    """The engine that `--engine` names, for a model that was loaded as `args` say; `most` rows are answered at once.

    What chats open with is kept from one to the next if `keep`.

    Raises:
        ClampdownError: vLLM is not there, is another version, can't load the model, or does not steer it.
    """
    _check_options(args)
    if args.engine == "transformers":
        from clampdown.engine.local import LocalEngine

        return LocalEngine(model, most=most, keep=keep)
    if not model.folder.is_dir():
        raise ClampdownError(f"--engine vllm does not read GGUF: name a folder or a hub id, not {model.folder.name}")
    progress("starting vLLM", 0, 0, "")
    from clampdown.plugins.vllm.engine import VllmEngine

    return VllmEngine(model, most=most)
