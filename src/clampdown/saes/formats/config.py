"""The JSON configuration that lies beside an SAE's weights."""

import json
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of the SAE `name`.

    Raises:
        ClampdownError: no such file, or it holds no JSON object.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClampdownError(f"{name}: can't read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ClampdownError(f"{name}: {path.name} is not JSON ({error}); fetch it again") from error
    if not isinstance(body, dict):
        raise ClampdownError(f"{name}: {path.name} is not a JSON object; fetch it again")
    return body
