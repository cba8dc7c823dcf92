"""What a safetensors file says about itself, read without its tensors."""

import json
from pathlib import Path
from typing import Any

_LONGEST = 100_000_000
"""Bytes of a header; safetensors itself reads no longer one."""


def read_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Tensors by name, each {"dtype", "shape", "data_offsets": [start, end]}, and where in the file the offsets begin.

    Raises:
        ValueError: it is no safetensors file.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= _LONGEST:
            raise ValueError(f"{path} is no safetensors file")
        told = json.loads(stream.read(length))
    if not isinstance(told, dict):
        raise ValueError(f"{path} is no safetensors file")
    told.pop("__metadata__", None)
    return told, 8 + length
