"""Where the files of a named set are: in the user's own folder, in a cache, or still to be fetched."""

import os
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from clampdown.cache import cache_folder
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.named.page import NamedSet, Origin
from clampdown.reading import check_file
from clampdown.writing import beside

FOLDER = "CLAMPDOWN_SETS"
_RAW = "https://raw.githubusercontent.com"
_SECONDS = 60


@dataclass(frozen=True)
class Copy:
    """Files that hold a set together.

    Attributes:
        where: "local" or "cached".
        source: what to call them in a report; for fetched files, with the commit that they are from.
        ready: whether they hold the rows that count and no others.
    """

    paths: tuple[Path, ...]
    where: str
    source: str
    ready: bool = False


def at_hand(named: NamedSet) -> Copy | None:
    """A copy that needs no network: from the folder $CLAMPDOWN_SETS, or fetched earlier."""
    folder = os.environ.get(FOLDER)
    return (below(named, Path(folder).expanduser()) if folder else None) or _cached(named)


def below(named: NamedSet, folder: Path) -> Copy | None:
    """A copy in a folder: one of the names that the set's page declares, or its files under `owner/repository`."""
    for name in (*named.ready, *named.local):
        if (folder / name).is_file():
            return Copy((folder / name,), "local", str(folder / name), name in named.ready)
    root = folder / named.origin.repo
    paths = tuple(root / file for file in named.origin.files)
    return Copy(paths, "local", str(root)) if all(path.is_file() for path in paths) else None


def given(named: NamedSet, path: Path) -> Copy:
    """The copy that the user names: a file in a layout of the set's, or a folder as $CLAMPDOWN_SETS would be.

    Raises:
        ClampdownError: neither is there, or it is a pipe or a device.
    """
    path = path.expanduser()
    if path.exists() and not path.is_dir():
        check_file(path, "set")
        return Copy((path,), "local", str(path), any(path.name == Path(name).name for name in named.ready))
    found = below(named, path)
    if found is None:
        held = f"{named.origin.repo}/{named.origin.files[0]}"
        raise ClampdownError(f"set {named.name}: no file {path}, nor a folder that holds {held}")
    return found


def fetch(named: NamedSet) -> Copy:
    """Download what is not cached yet.

    Raises:
        ClampdownError: no network, no such file any more, or terms not agreed to; the line says what to do.
    """
    origin = named.origin
    try:
        paths = tuple(_download(origin, file) for file in origin.files)
    except Exception as error:  # the hub's client raises kinds of its own, and its HTTP library's
        raise ClampdownError(_why(named, error)) from error
    return _fetched(origin, paths)


def _cached(named: NamedSet) -> Copy | None:
    origin, paths = named.origin, []
    for file in origin.files:
        path = _cache_path(origin, file) if origin.host == "github" else _hub_cache(origin, file)
        if path is None or not path.is_file():
            return None
        paths.append(path)
    return _fetched(origin, tuple(paths))


def _fetched(origin: Origin, paths: tuple[Path, ...]) -> Copy:
    parts = paths[0].parts
    # The hub's cache keeps files under snapshots/<commit>: so an unpinned set is recorded as what it was.
    commit = origin.revision or (parts[parts.index("snapshots") + 1] if "snapshots" in parts else "unknown")
    return Copy(paths, "cached", f"{origin.page} @ {commit}: {', '.join(origin.files)}")


def _hub_cache(origin: Origin, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(origin.repo, file, revision=origin.revision, repo_type="dataset")
    return Path(path) if isinstance(path, str) else None


def _cache_path(origin: Origin, file: str) -> Path:
    return cache_folder() / "sets" / origin.repo / str(origin.revision) / file


def _download(origin: Origin, file: str) -> Path:
    if origin.host != "github":
        from huggingface_hub import constants, hf_hub_download

        if not urllib.request.getproxies():
            # Without a network the hub's client would try for half a minute.
            socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, None)
        return Path(hf_hub_download(origin.repo, file, repo_type="dataset", revision=origin.revision))
    path = _cache_path(origin, file)
    if not path.is_file():
        address = f"{_RAW}/{origin.repo}/{origin.revision}/{quote(file)}"
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
            data = answer.read()
        with beside(path) as part:
            part.write_bytes(data)
    return path


def _why(named: NamedSet, error: Exception) -> str:
    from huggingface_hub.errors import RepositoryNotFoundError

    origin, said = named.origin, str(error).strip().partition("\n")[0] or type(error).__name__
    if origin.gated and isinstance(error, RepositoryNotFoundError):  # what the hub says to strangers
        return (
            f"set {named.name} is gated: accept its terms at {origin.page}, then run `hf auth login`; or name a copy "
            f"of your own with {named.name}=FILE"
        )
    return (
        f"could not fetch set {named.name} from {origin.page} ({said}); put {', '.join(origin.files)} below "
        f"${FOLDER}/{origin.repo}, or name a copy of your own with {named.name}=FILE"
    )
