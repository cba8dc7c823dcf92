"""Where a model comes from: its name taken apart, the files that hold its weights, and why it could not be had."""

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError
from clampdown.models import bundled
from clampdown.reading import check_file, unreadable

_PIECE = re.compile(r"\.gguf[-.]", re.I)
"""In the names of files that a GGUF was cut into, such as m.gguf-split-a and m.gguf.part1of2."""


class Source(NamedTuple):
    """A folder or hub id as Transformers takes it, a revision of the hub's, and for a GGUF file its name in there."""

    path: str
    revision: str | None = None
    gguf: str | None = None

    def options(self) -> dict[str, Any]:
        """Arguments for `from_pretrained`. A repository's own code is never run."""
        given = {"revision": self.revision, "gguf_file": self.gguf}
        return {"trust_remote_code": False, **{key: value for key, value in given.items() if value}}

    def __str__(self) -> str:
        name = str(Path(self.path) / self.gguf) if self.gguf else self.path
        return f"{name}@{self.revision}" if self.revision else name


def find_source(name: str, revision: str | None = None) -> Source:
    """The bundled model, a local folder or .gguf file, or a hub id or file (owner/name/file.gguf), maybe @revision.

    Raises:
        ClampdownError: a file or folder that is not there, or a revision of what has none.
    """
    if name == bundled.NAME:
        source = Source(str(bundled.bundled_folder()))
    elif name and os.path.lexists(path := Path(os.path.expanduser(name))):
        source = _local(name, path)
    else:
        repository, _, own = name.partition("@")
        owner, _, inside = repository.partition("/")
        inside, _, file = inside.partition("/")
        gguf = repository.endswith(".gguf")
        if name.startswith(("/", "./", "../", "~")) or (gguf and (not file or os.path.isdir(Path(owner, inside)))):
            raise ClampdownError(f"could not load model {name}: there is no such file or folder")
        if own and revision and own != revision:
            raise ClampdownError(f"model {name} names a revision of its own; leave out {revision}")
        if gguf:
            return Source(f"{owner}/{inside}", revision or own or None, file)
        return Source(repository, revision or own or None)
    if revision:
        raise ClampdownError(f"model {name} lies here and has no revisions; leave out {revision}")
    return source


def _local(name: str, path: Path) -> Source:
    """The folder or GGUF file at a path where something lies."""
    if path.is_dir():
        return Source(str(path))
    check_file(path, "model")
    if path.suffix.lower() == ".gguf":
        return Source(str(path.parent), gguf=path.name)
    if _PIECE.search(path.name):
        raise ClampdownError(
            f"could not load model {name}: it is a piece of a GGUF file that was cut up; join the pieces in their "
            "order (cat FIRST SECOND > whole.gguf), and name that file"
        )
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise unreadable(path, "model", error) from error
    if start == b"GGUF":
        raise ClampdownError(f"could not load model {name}: it is GGUF; end its name in .gguf")
    raise ClampdownError(f"could not load model {name}: name its folder, or a .gguf file")


def is_bundled(source: Source) -> bool:
    """Whether it is the bundled model, whose folder lies in the user's cache."""
    return Path(source.path).name == bundled.folder_name()


def fetched(source: Source) -> Source:
    """A hub repository's .gguf file as the local one it is after fetching it, once; any other source as it is.

    Raises:
        what the hub's client raises; see `failure`.
    """
    if not source.gguf or os.path.isdir(source.path):
        return source
    from huggingface_hub import hf_hub_download

    path = Path(hf_hub_download(source.path, source.gguf, revision=source.revision))
    return Source(str(path.parent), gguf=path.name)


def weights_place(source: Source, model: Any) -> Path:
    """The GGUF file, or the folder with the weight files: the one named, or the hub's local snapshot."""
    if source.gguf or os.path.isdir(source.path):
        return Path(source.path) / (source.gguf or "")
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.path, "config.json", revision=getattr(model.config, "_commit_hash", None))
    return Path(found).parent if isinstance(found, str) else Path(source.path)


def weight_files(place: Path, named: str | None = None) -> list[Path]:
    """The files that Transformers loads from `place`, in the order of their names: a GGUF file itself; in a folder
    what the configuration names, else one file or an index's shards, safetensors before .bin. Others beside them,
    such as Mistral's consolidated.safetensors, are not read.
    """
    if place.is_file():
        return [place]
    for name in (named,) if named else ("model.safetensors", "pytorch_model.bin"):
        for path in (place / name, place / f"{name}.index.json"):
            if path.is_file():
                return [path] if not path.name.endswith(".index.json") else shards(path)
    return []


def shards(index: Path) -> list[Path]:
    """The files an index names, in the order of their names.

    Raises:
        ClampdownError: it can't be read, or names what lies outside its folder.
    """
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        paths = [index.parent / name for name in sorted(names)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ClampdownError(
            f"could not load model {index.parent}: its {index.name} is damaged; fetch it again"
        ) from error
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ClampdownError(
                f"could not load model {index.parent}: its {index.name} names {name}, which lies outside the folder; "
                "do not use it"
            )
    return paths


def adapter_files(place: Path) -> list[Path]:
    """The weights of an adapter (LoRA and its like) in a folder, which peft, where it is installed, adds unasked."""
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        if (place / name).is_file():
            return [place / name]
    return []


def need(package: str, what: str) -> None:
    """Raises ClampdownError unless a package that `what` asks for is installed."""
    if importlib.util.find_spec(package) is None:
        raise ClampdownError(f"{what} needs {package}, which is not installed: pip install {package}")


def failure(source: Source, error: Exception) -> ClampdownError:
    """What went wrong with loading, in one line with a remedy."""
    reason, remedy = _told(source, list(_chain(error)))
    return ClampdownError(f"could not load model {source}: {reason}; {remedy}")


def _chain(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _told(source: Source, errors: list[BaseException]) -> tuple[str, str]:
    from huggingface_hub import errors as hub

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(error, kinds) for error in errors)

    page = f"https://huggingface.co/{source.path}"
    at = source.revision or "main"
    if among(hub.GatedRepoError):
        return "it is gated", f"accept its licence at {page}, then log in with `hf auth login`"
    if among(hub.RevisionNotFoundError):
        return f"it has no revision {at}", f"see {page} for those it has"
    if among(hub.RepositoryNotFoundError, hub.HFValidationError):
        return (
            "it is neither a folder here nor a repository on the hub that you may read",
            "check the name; for a private one log in with `hf auth login`",
        )
    if among(hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled) or any(map(_is_network, errors)):
        return "the hub can't be reached, and it is not in the cache", "check the network, or name a folder"
    if source.gguf and among(hub.EntryNotFoundError):
        return "its repository has no such file", f"see {page}/tree/{at} for those it has"
    lines = str(errors[0]).strip().splitlines()
    reason = (lines[0] if lines else type(errors[0]).__name__).rstrip(".:")
    if isinstance(errors[0], KeyError):
        reason = f"it lacks {reason}"
    if "ignore_mismatched_sizes" in reason:
        reason = "its tensors are not of the sizes that its configuration tells"
    if "does not recognize this architecture" in reason:
        return "Transformers does not know its architecture", "a newer one may: pip install --upgrade transformers"
    if "trust_remote_code" in str(errors[0]):
        return "it brings code of its own, which is not run here", "choose a model that Transformers knows by itself"
    if is_bundled(source):
        return reason, "delete that folder to fetch it again"
    if source.gguf:
        return reason, "check the file"
    return reason, "check the folder" if os.path.isdir(source.path) else "check the name, and the network"


def _is_network(error: BaseException) -> bool:
    """Connection errors of httpx, requests and Python, by their names: which library the hub uses has changed."""
    return type(error).__name__ in ("ConnectError", "ConnectTimeout", "ReadTimeout", "ConnectionError", "ProxyError")
