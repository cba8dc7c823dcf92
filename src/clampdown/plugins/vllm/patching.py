"""How functions of vLLM's are put into ours."""

from collections.abc import Callable
from functools import wraps
from typing import Any


def around(owner: Any, name: str, made: Callable[..., Any]) -> None:
    """Put `made(original, ...)` in the place of a function of a class or module."""
    original = getattr(owner, name)

    @wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return made(original, *args, **kwargs)

    setattr(owner, name, replaced)
