"""The machine and the libraries a study ran on: a figure means little without them."""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from clampdown.engine.engine import Engine
from clampdown.measuring.sets.sets import LM_EVAL
from clampdown.models.chat_model import ChatModel


def environment(model: ChatModel, asked: Iterable[str] = (), engine: Engine | None = None) -> dict[str, Any]:
    """Versions, precision, device and threads, as plain data; lm-eval's version where a set in `asked` is its task.

    engine: who answers, where it is not Transformers alone.
    """
    return {
        "clampdown": _version("clampdown"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": _version("transformers"),
        "lm-eval": _version("lm-eval") if any(name.startswith(LM_EVAL) for name in asked) else None,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": _device(model.device),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        **({"engine": engine.version} if engine else {}),
    }


def answered_by(made: Mapping[str, Any]) -> str:
    """The engine that answered prompts, and its version, by what `environment` gave."""
    return made.get("engine") or f"transformers {made['transformers']}"


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
