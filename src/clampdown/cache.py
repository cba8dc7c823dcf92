"""Where what was fetched, converted or worked out once is kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$CLAMPDOWN_CACHE, else the platform's usual cache folder."""
    if chosen := os.environ.get("CLAMPDOWN_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "clampdown"
