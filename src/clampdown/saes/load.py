"""The front door to SAEs: one name, whichever format and place it stands for."""

import os
import re
from functools import lru_cache
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.reading import check_file
from clampdown.saes import directory
from clampdown.saes.directory import BUNDLED
from clampdown.saes.files import FORMAT, read_sae
from clampdown.saes.formats import llama_scope, matching, read_any, sae_lens, whatever_the_files_say
from clampdown.saes.hashes import LARGE, file_sha256
from clampdown.saes.locate import Located, fetch
from clampdown.saes.sae import SAE

_REMOTE = re.compile(r"(?P<place>[A-Za-z0-9][\w.-]*/[^@]+?)/?(?:@(?P<revision>[\w./-]+))?")
_LONG = 200
_COMMIT = re.compile("[0-9a-f]{7,40}")
_ORIGIN = ("repository", "revision", "pinned", "verified")
"""Notes that are ours to make when an SAE is fetched: a file here that makes them of itself is not believed."""
_WAYS = f"name a file or folder, a hub id (owner/repo/folder@revision), SAELens' release/sae_id, or {BUNDLED!r}"


def load_sae(name: str) -> SAE:
    """Load an SAE by name; weights stay in the dtype they are stored in, mapped from their file where it allows.

    A name is, in this order: the bundled one's (`smollm2-135m-instruct/layer-12`), a file or folder, SAELens'
    `release/sae_id`, as `clampdown sae search` lists them, or a hub id `owner/repo`, with a folder or file of it
    behind.
    The last two may end in `@revision`; without one the current commit is taken, and `about` says so. The SAE's own
    `name` always ends in the commit, so that a recipe that holds it finds the same files again.

    Raises:
        ClampdownError: nothing of that name, an unknown format, no SAE of a residual stream, a damaged file, a
            gated repository, or no network.
    """
    if not isinstance(name, str | Path) or not str(name).strip():  # a path will do as well
        raise ClampdownError(f"an SAE must be a name or a path, not empty, got {repr(name)[:_LONG]}")
    name = str(name)
    if name == BUNDLED:
        return read_sae(directory.BUNDLED_FILE, name)
    path = Path(os.path.expanduser(name))
    return read_local(path, name) if _exists(path, name) else _remote(name)


def names_a_place(name: str) -> bool:
    """Whether `name` could be a release's SAE or a hub repository, where no file has that name."""
    return _REMOTE.fullmatch(name) is not None


def read_local(path: Path, name: str) -> SAE:
    """Read the SAE in a file or folder, in our own format or another's."""
    with whatever_the_files_say(name):
        ours = _the_file(path)
        if ours is not None and (_is_ours(ours) or matching(path) is None):
            sae = read_sae(ours, name)  # what is no SAE at all is refused by our own reader
        else:
            sae = _read(str(path.absolute()), name, _version(path))
        return sae.without_notes(*_ORIGIN)


def _exists(path: Path, name: str) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:  # too long a name, a folder that is not ours, links in a circle
        shown = name if len(name) < _LONG else f"{name[:_LONG]}…"
        raise ClampdownError(f"no SAE at {shown!r}: {error.strerror or error}; {_WAYS}") from error
    if not path.is_dir():
        check_file(path, "SAE")
    return True


@lru_cache(maxsize=4)
def _read(path: str, name: str, _version: tuple[object, ...]) -> SAE:
    return _looked_at(read_any(Path(path), name))


@lru_cache(maxsize=4)  # so a process stays with the commit that it resolved first
def _remote(name: str) -> SAE:
    asked = _REMOTE.fullmatch(name)
    if asked is None:
        raise ClampdownError(f"no SAE at {name!r}; {_WAYS}")
    place, revision = asked["place"], asked["revision"]
    entry = directory.find(place)
    if entry is not None:
        if entry.refused:
            raise ClampdownError(f"{place} is {entry.refused}, which can't be used here; name an SAE of the residual")
        repo, inside = entry.repo, entry.inside
    else:
        owner, repository, *rest = place.split("/")
        repo, inside = f"{owner}/{repository}", "/".join(rest)
    try:
        located = fetch(repo, inside, revision)
    except ClampdownError as error:
        if entry is not None:
            raise
        raise ClampdownError(f"no SAE at {name!r} here, and {error} ({_WAYS})") from error
    where = place if entry is not None else f"{repo}/{located.inside}".rstrip("/")
    sae = _fetched(located, f"{where}@{located.commit}", "" if entry is None else place)
    pinned = bool(revision and _COMMIT.fullmatch(revision) and located.commit.startswith(revision))
    return sae.noting(repository=repo, revision=located.commit, pinned="by you" if pinned else "no")


@lru_cache(maxsize=4)  # one SAE, by whichever of its names
def _fetched(located: Located, name: str, listed: str) -> SAE:
    """Read what was fetched; two formats leave what their files don't say to the directory that has it `listed`."""
    path, entry = located.path, directory.find(listed)
    verified = _verified(path, name, entry)
    with whatever_the_files_say(name):
        if path.suffix == ".safetensors" and _is_ours(path):
            sae = read_sae(path, name)
        elif entry is not None and sae_lens.matches(path):
            sae = sae_lens.read(path, name, entry.overrides, entry.input_scale)
        elif entry is not None and llama_scope.matches(path):
            sae = llama_scope.read(path, name, entry.input_scale)
        else:
            sae = read_any(path, name)
        return _looked_at(sae).noting(verified=verified)


def _looked_at(sae: SAE) -> SAE:
    """A small SAE's values are checked at once, a large one's when they are used."""
    if 2 * sae.w_enc.numel() * sae.w_enc.element_size() <= LARGE:
        sae.check_finite()
    return sae


def _verified(path: Path, name: str, entry: directory.Entry | None) -> str:
    if entry is None or not entry.sha256:
        return "no"
    if (found := file_sha256(path)) != entry.sha256:
        raise ClampdownError(f"{name} has hash {found[:12]}, but its directory says {entry.sha256[:12]}; do not use it")
    return "yes, by the directory's hash"


def _the_file(path: Path) -> Path | None:
    """The file that would be an SAE in our own format: itself, or the one safetensors file of a folder."""
    if path.is_dir():
        files = sorted(file for file in path.glob("*.safetensors") if file.is_file())
        if len(files) != 1 and matching(path) is None:
            raise ClampdownError(f"folder {path} holds {len(files)} safetensors files; name the SAE's file itself")
        return files[0] if len(files) == 1 else None
    return path


def _is_ours(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError):
        return False


def _version(path: Path) -> tuple[object, ...]:
    """What changes when a file of the SAE does, so that one written anew is read anew."""
    files = [path] if path.is_file() else sorted(f for p in ("*", "*/*") for f in path.glob(p) if f.is_file())
    return tuple((str(f), s.st_mtime_ns, s.st_size) for f in files for s in [f.stat()])
