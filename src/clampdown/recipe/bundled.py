"""The recipes that come along, for the bundled model; each goes by its name wherever a recipe's file is named."""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "discovery" / "bundled"
GUARDED, CLAMP, REFUSAL = "guarded", "guarded-clamp", "refusal"
"""The default, a tuned direction behind a gate; latents clamped behind the very same gate; the same with no gate."""
BUNDLED = (GUARDED, CLAMP, REFUSAL)
COME_ALONG = f"of recipes that come along, say {' or '.join(BUNDLED)}"
"""The way out, for the end of an error, where a recipe is named that is not there."""
NO_GATE = "or take the recipe without its gate"
"""The way out, for the end of an error, where a gate can't be asked."""


def bundled_path(name: str) -> Path:
    """Where a recipe that comes along lies; it names its gate's file from there."""
    return FOLDER / f"{name}.toml"


def recipe_path(named: str | Path, folder: Path = Path()) -> Path:
    """The file of a recipe that goes by a path, as seen from a folder, or by the name of one that comes along.

    A file of that name in the folder comes first.
    """
    path = folder / os.path.expanduser(named)  # unlike pathlib, it takes a home that nobody has
    return bundled_path(str(named)) if str(named) in BUNDLED and not path.is_file() else path
