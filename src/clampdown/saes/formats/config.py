"""The JSON configuration that lies beside an SAE's weights."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.reading import read_text


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of the SAE `name`.

    Raises:
        ClampdownError: no such file, or it holds no JSON object.
    """
    try:
        body = json.loads(read_text(path, f"{name}:"))
    except (ValueError, RecursionError) as error:
        raise ClampdownError(f"{name}: {path.name} is not JSON ({error}); fetch it again") from error
    if not isinstance(body, dict):
        raise ClampdownError(f"{name}: {path.name} is not a JSON object; fetch it again")
    return body


def flag(config: Mapping[str, Any], key: str, name: str, default: bool = False) -> bool:
    """What the configuration says of `key`, yes or no; `default` where it is silent.

    Raises:
        ClampdownError: it says something else.
    """
    value = config.get(key)
    if value is not None and type(value) is not bool:
        raise ClampdownError(f"{name}: its configuration says {key} = {value!r}, not true or false; fetch it again")
    return default if value is None else value


def positive(value: object) -> float | None:
    """A finite number above zero, or None for anything else."""
    told = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
    return float(value) if told else None  # type: ignore[arg-type]
