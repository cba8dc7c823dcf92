"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from clampdown.errors import ClampdownError


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name to write to, in the folder of `path`, which is made where it is missing.

    What was written there takes the place of `path` when the block ends, and is deleted when the block fails, so that a
    reader finds the old file or the new one, never half of either. The name ends as `path` does.

    Raises:
        ClampdownError: it could not be written (any OSError in the block, or text that UTF-8 can't hold).
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, (OSError, UnicodeEncodeError)):
            reason = getattr(error, "strerror", None) or error
            raise ClampdownError(f"could not write {path}: {reason}") from error
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, and its folder. Raises ClampdownError if it can't be."""
    with beside(path) as part:
        part.write_text(text, encoding="utf-8")
