"""What every part of a recipe checks when it is made, and how an error shows a wrong value."""

from collections.abc import Mapping
from typing import Any

from clampdown.errors import ClampdownError


def check_known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    require(not unknown, f"unknown key {', '.join(map(_key, unknown))} in {where}; known: {', '.join(sorted(known))}")


def table_at(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key, {})
    require(isinstance(value, Mapping), f"{key} must be a table")
    return value


def text_at(body: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    require(isinstance(value, str), f"{key} must be a text" + ("" if key in body else "; it is missing"))
    return str(value)


def check_layer(layer: Any) -> None:
    require(is_whole(layer) and layer >= 0, f"layer must be a whole number from 0, got {shown(layer)}")


def _key(key: str) -> str:
    return key if key.isprintable() else repr(key)


def shown(value: Any) -> str:
    """A wrong value for an error: on one line, and not all of a huge one."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


def require(condition: Any, message: str) -> None:
    if not condition:
        raise ClampdownError(message)


def is_whole(value: Any) -> bool:
    """An integer of TOML's range, 64 bits, which is also PyTorch's."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_finite(value: Any) -> bool:
    """A number that float32, the arithmetic's type, can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3.4e38
