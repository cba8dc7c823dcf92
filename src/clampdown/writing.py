"""Files that appear whole or not at all, and JSON that any reader takes."""

import contextlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that act on a terminal or on the order of a line's letters, and halves of surrogate pairs, which no
encoding holds. Line breaks and tabs are not among them."""


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name to write to, in the folder of `path`, which is made where it is missing.

    What was written there takes the place of `path` when the block ends, and is deleted when the block fails, so that a
    reader finds the old file or the new one, never half of either. The name ends as `path` does. A new file has the
    permissions of any other, whatever the library that writes it makes of them; one that is replaced keeps its own. A
    link is followed.

    Raises:
        ClampdownError: it could not be written (any OSError in the block, or text that UTF-8 can't hold), or `path` is
            a pipe or a device, which a file must not take the place of.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode(target, part)
        yield part
        if stat.S_IMODE(part.stat().st_mode) != mode:
            with contextlib.suppress(OSError):  # some file systems know no permissions
                part.chmod(mode)
        os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, (OSError, UnicodeEncodeError)):
            reason = getattr(error, "strerror", None) or error
            raise ClampdownError(f"could not write {path}: {reason}") from error
        raise


def _mode(target: Path, part: Path) -> int:
    """The permissions that `target` is to have; a new file's are seen on one made at `part`, and removed."""
    with contextlib.suppress(FileNotFoundError):
        found = target.stat().st_mode
        if not stat.S_ISREG(found) and not stat.S_ISDIR(found):
            raise OSError(None, "it is a pipe or a device; name a file")
        return stat.S_IMODE(found)
    part.touch()
    mode = stat.S_IMODE(part.stat().st_mode)
    part.unlink()
    return mode


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, and its folder. Raises ClampdownError if it can't be."""
    with beside(path) as part:
        part.write_text(text, encoding="utf-8")


def json_text(body: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """`body` as JSON that can be written in UTF-8 (or ASCII) and shown: what is among `STEERING` is escaped.

    Raises:
        ClampdownError: a number that JSON has no word for, with its place.
    """
    try:
        text = json.dumps(body, ensure_ascii=ascii_only, indent=indent, allow_nan=False)
    except ValueError as error:
        place, number = next(_not_finite(body), ("", None))
        if number is None:
            raise
        raise ClampdownError(f"{place} is {number}, which JSON can't hold; something overflowed on the way") from error
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _not_finite(body: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Where in `body` a number is infinite or none, and which it is."""
    if isinstance(body, float) and not math.isfinite(body):
        yield place or "the result", body
    elif isinstance(body, Mapping):
        for key, value in body.items():
            yield from _not_finite(value, f"{place}.{key}".removeprefix("."))
    elif isinstance(body, list | tuple):
        for number, value in enumerate(body):
            yield from _not_finite(value, f"{place}[{number}]")
