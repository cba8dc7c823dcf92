"""Find an SAE's files in a repository of the Hugging Face hub, and fetch those it needs and no others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from clampdown.errors import ClampdownError, reason

_SUFFIXES = (".safetensors", ".npz", ".pt", ".pth")
_CONFIGS = ("cfg.json", "config.json", "hyperparams.json", "activation_scaler.json")
_NO_WEIGHTS = ("sparsity", "trainer_state", "optimizer", "lr_scheduler", "activations_store", "activation_whitening")
_SHOWN = 4
_ONE_A_FOLDER = ("sae_weights.safetensors", "sae.safetensors", "params.safetensors", "params.npz", "ae.pt")
"""Weights that formats know by their folder; others lie beside their like."""


@dataclass(frozen=True)
class Located:
    """An SAE's weights on this machine, the commit that they are of, and the place in it that names no other SAE."""

    path: Path
    commit: str
    inside: str


def fetch(repo: str, inside: str = "", revision: str | None = None) -> Located:
    """Fetch the SAE at `inside`, a file or folder of hub repository `repo`, and the configurations that belong to it.

    Without a revision the repository's current commit is taken. Without a network, what was fetched before is found
    by its exact place: its file, or the folder that is its own.

    Raises:
        ClampdownError: no such repository, revision or SAE; several SAEs; a gated repository; no network.
    """
    from huggingface_hub import hf_hub_download

    names, offline = _names(repo, revision)
    inside = inside.strip("/")
    weights = _weights(names, repo, inside)
    exact = _exact(weights)
    if offline and inside not in (exact, weights):
        raise ClampdownError(
            f"can't reach the hub to see which SAEs {repo} holds; of those fetched before, name one, such as "
            f"{repo}/{exact}"
        )
    folders = PurePosixPath(weights).parents
    configs = [str(folder / config) for folder in folders for config in _CONFIGS if str(folder / config) in set(names)]
    commits = set()
    for file in [*configs, weights]:
        try:
            path = Path(hf_hub_download(repo, file, revision=revision))
        except Exception as error:  # the client, its transport and the disk each raise their own kinds
            raise ClampdownError(_said(error, repo, revision)) from error
        commits.add(path.parents[len(PurePosixPath(file).parts) - 1].name)
    if len(commits) != 1:
        raise ClampdownError(f"hub repository {repo} changed while it was fetched; do the same again")
    return Located(path, commits.pop(), inside if inside in (exact, weights) else exact)


def _names(repo: str, revision: str | None) -> tuple[list[str], bool]:
    """The repository's files, as the hub lists them, or those of them that are already here; and whether it is so."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return [file.rfilename for file in HfApi().model_info(repo, revision=revision).siblings or []], False
    except (HfHubHTTPError, HFValidationError) as error:  # the hub has answered, or will never be asked
        raise ClampdownError(_said(error, repo, revision)) from error
    except Exception as error:  # anything else is the way there
        try:
            here = Path(snapshot_download(repo, revision=revision, local_files_only=True, ignore_patterns=["*"]))
        except Exception:
            raise ClampdownError(_said(error, repo, revision)) from error
        return [file.relative_to(here).as_posix() for file in here.rglob("*") if file.is_file()], True


def _weights(names: Sequence[str], repo: str, inside: str) -> str:
    """The one file of weights at `inside`; nearer the top where there are several, since checkpoints lie deeper."""
    if inside in names:
        return inside
    below = f"{inside}/" if inside else ""
    found = [n for n in names if n.startswith(below) and n.endswith(_SUFFIXES) and not _is_other(n)]
    if not found:
        if inside and not any(n.startswith(below) for n in names):
            raise ClampdownError(f"hub repository {repo} has no {inside!r}; it has {_some(names)}")
        raise ClampdownError(f"hub repository {repo} holds no SAE's weights{f' in {inside}' if inside else ''}")
    depth = min(n.count("/") for n in found)
    top = [n for n in found if n.count("/") == depth]
    if len(top) > 1:
        folders = {str(PurePosixPath(n).parent) for n in top}
        which = sorted(folders) if len(folders) == len(top) else sorted(top)
        raise ClampdownError(f"hub repository {repo} holds {len(top)} SAEs; name one, such as {repo}/{which[0]}")
    return top[0]


def _exact(weights: str) -> str:
    """The place that stands for these weights alone: their folder, where it is theirs, or the file."""
    file = PurePosixPath(weights)
    folder = file.parent
    if weights.endswith("checkpoints/final.safetensors"):  # Llama Scope's
        folder = folder.parent
    elif file.name not in _ONE_A_FOLDER:
        return weights
    return "" if str(folder) == "." else str(folder)


def _is_other(name: str) -> bool:
    """Whether a file beside an SAE's weights only looks like some."""
    return any(word in PurePosixPath(name).name for word in _NO_WEIGHTS)


def _some(names: Sequence[str]) -> str:
    tops = sorted({n.partition("/")[0] for n in names if not n.startswith(".")})
    return ", ".join(tops[:_SHOWN]) + (f" and {len(tops) - _SHOWN} more" if len(tops) > _SHOWN else "") or "nothing"


def _said(error: Any, repo: str, revision: str | None) -> str:
    """One line for each way in which a hub can't give what is asked of it."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"hub repository {repo} is gated: accept its terms at huggingface.co/{repo}, then `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no hub repository {repo}, or it is private: check the name, or `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"hub repository {repo} has no revision {revision!r}; name a commit, tag or branch"
    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} is no name of a hub repository: {reason(error)}"
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | errors.HfHubHTTPError) and error.errno:
        return f"could not keep {repo} in the hub's cache: {error.strerror or error}"
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None:
        return f"the hub refused {repo} ({error.response.status_code}); try again later"
    return (
        f"can't reach the hub for {repo} ({type(error).__name__}), nor was it fetched before; connect, or name a file"
    )
