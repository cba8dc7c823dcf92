"""The machine and the libraries a study ran on: a figure means little without them."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from clampdown.models.chat_model import ChatModel


def environment(model: ChatModel) -> dict[str, Any]:
    """Versions, precision, device and threads, as plain data."""
    return {
        "clampdown": _version("clampdown"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": _version("transformers"),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": _device(model.device),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
