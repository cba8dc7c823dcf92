"""Read a text file that a user names for an attack."""

from pathlib import Path

from clampdown.errors import ClampdownError


def read_text(path: Path) -> str:
    """The file's text. Raises ClampdownError if it can't be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ClampdownError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
