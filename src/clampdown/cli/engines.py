"""The engine that a command's answers come from."""

import argparse
from typing import TYPE_CHECKING

from clampdown.errors import ClampdownError
from clampdown.progress import Progress

if TYPE_CHECKING:
    from clampdown.engine.engine import Engine
    from clampdown.models.chat_model import ChatModel


def engine_named(
    args: argparse.Namespace, model: "ChatModel", most: int, progress: Progress, *, keep: bool = False
) -> "Engine":
    """The engine that `--engine` names, for a model that was loaded as `args` say; `most` rows are answered at once.

    What chats open with is kept from one to the next if `keep`.

    Raises:
        ClampdownError: vLLM is not there, is another version, can't load the model, or does not steer it.
    """
    if args.engine == "transformers":
        from clampdown.engine.local import LocalEngine

        return LocalEngine(model, most=most, keep=keep)
    for name in ("quantization", "device_map"):
        if getattr(args, name):
            option = name.replace("_", "-")
            raise ClampdownError(f"--engine vllm reads the model's folder itself; leave out --{option}")
    if not model.folder.is_dir():
        raise ClampdownError(f"--engine vllm does not read GGUF: name a folder or a hub id, not {model.folder.name}")
    progress("starting vLLM", 0, 0, "")
    from clampdown.plugins.vllm.engine import VllmEngine

    return VllmEngine(model, most=most)
