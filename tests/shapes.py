"""Checks, while the tests run, that tensors have the shapes that functions say; their other types are mypy's."""

from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray

FOLDERS = ["clampdown.saes", "clampdown.steering"]
"""Whose functions say shapes; they are imported after the hook is set."""


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its shapes checked at every call."""
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if _says_shape(hint)}
    return beartype(function)


def _says_shape(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(_says_shape, get_args(hint)))
