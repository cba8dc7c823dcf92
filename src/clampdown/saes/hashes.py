"""SHA-256 of files; those of large ones are remembered, since a hash reads every byte."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from clampdown.cache import cache_folder
from clampdown.errors import ClampdownError
from clampdown.writing import write_whole

LARGE = 1 << 28
"""Bytes from which on a file is mapped, not read whole, and its hash remembered."""

_KEPT = 256


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    A large file's is kept in the cache folder, under its path, size and times; a cache that is damaged or can't be
    written is done without.
    """
    version = file_version(path)
    if version[0] <= LARGE:
        return _read_all(path)
    store = cache_folder() / "hashes.json"
    entry = _known(store).get(str(path))
    if isinstance(entry, list) and entry[:-1] == version and isinstance(entry[-1], str):
        return entry[-1]
    found = _read_all(path)
    if file_version(path) == version:  # else somebody wrote to it meanwhile
        others = {name: held for name, held in _known(store).items() if name != str(path)}
        _keep(store, dict([*others.items(), (str(path), [*version, found])][-_KEPT:]))
    return found


def sha256_when_asked(path: Path, name: str) -> Callable[[], str]:
    """A function that finds the hash of the file as it is now; make it before the file is opened.

    It raises ClampdownError where the file was written anew or removed meanwhile: the hash would be another's.
    """
    size, written, _ = file_version(path)

    def find() -> str:
        with contextlib.suppress(OSError):
            if file_version(path)[:2] == [size, written]:
                return file_sha256(path)
        raise ClampdownError(f"{name} was changed or removed after it was loaded; load it again")

    return find


def file_version(path: Path) -> list[int]:
    """What changes when a file does: its size, and the times of its last writing and change, in nanoseconds."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _read_all(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _known(store: Path) -> dict[str, object]:
    try:
        known = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _keep(store: Path, known: dict[str, object]) -> None:
    with contextlib.suppress(ClampdownError):
        write_whole(store, json.dumps(known))
