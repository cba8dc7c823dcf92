"""Load a model with something to look at meanwhile."""

from typing import TYPE_CHECKING

from clampdown.progress import Progress

if TYPE_CHECKING:
    from clampdown.library import Model


def load_model(name: str | None, dtype: str, progress: Progress) -> "Model":
    """The model of that name; None is the bundled one."""
    progress("loading the model", 0, 0, name or "")
    from clampdown import library

    return library.load(name or library.NAME, dtype=dtype)
