"""SAEs known by name: the bundled one, and those that others have published, by release and id.

Of the published ones a list comes along, made from SAELens' by training/directory/make.py; names are as there.
"""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError

BUNDLED = "smollm2-135m-instruct/layer-12"
BUNDLED_FILE = Path(__file__).parent / "bundled" / "smollm2-135m-instruct-layer-12.safetensors"
PUBLISHED_FILE = Path(__file__).parent / "published.json.gz"
_NEURONPEDIA = "https://www.neuronpedia.org"

_UNREADABLE = {
    "connor_rob_hook_z": "of attention",
    "gemma_2_transcoder": "a transcoder",
    "mwhanna_transcoder": "a transcoder",
    "mntss_clt_layer_transcoder": "a cross-layer transcoder",
    "temporal": "a temporal SAE",
}
_READABLE = (
    *("sae_lens", "sparsify", "dictionary_learning_1", "gemma_2", "gemma_3", "llama_scope", "llama_scope_r1_distill"),
    *("qwen_scope", "goodfire", "deepseek_r1"),
)
_PLACES = {
    "a transcoder": r"transcoders?|clt",
    "a crosscoder": r"crosscoders?",
    "of attention": r"attn?|attn[-_]out|hook[-_](?:z|attn_out)|lxa",
    "of the MLP": r"mlp|mlp[-_]out|hook_mlp_out|lxm",
    "within a block": r"resid-mid|hook_resid_mid",
    "of the embeddings": r"embedding|blocks\.0\.hook_resid_pre|hook_embed",
}
_LAYERS = (r"layer_?(\d+)", r"blocks\.(\d+)\.", r"\bl(\d+)[rma]_")
_WIDTHS = (r"width_(\d+[km])", r"_(\d+x)\b", r"-w(\d+k)-", r"-(\d+k)(?:-|$)", r"2pow(\d+)")


@dataclass(frozen=True)
class Entry:
    """An SAE that the directory lists; `refused` says why it can't be used here, and is empty where it can."""

    name: str
    model: str
    layer: int | None = None
    width: str = ""
    refused: str = ""
    repo: str = ""
    inside: str = ""  # its folder or file in the repository
    input_scale: float | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    neuronpedia: str = ""  # its name there; empty where it has no page, or none is known

    @property
    def page(self) -> str:
        """The address of its page on Neuronpedia, if there is one."""
        return neuronpedia_page(self.neuronpedia) if self.neuronpedia else ""


def search(words: Sequence[str] = (), model: str = "", layer: int | None = None) -> list[Entry]:
    """Entries that hold all the words, in any case; those that can be used come first.

    `model` is looked for in the model's name without its owner."""
    wanted = _plain(model)
    found = [
        entry
        for entry in (bundled_entry(), *entries())
        if all(word.casefold() in f"{entry.name} {entry.model} {entry.repo}".casefold() for word in words)
        and wanted in _plain(entry.model)
        and layer in (None, entry.layer)
    ]
    return sorted(found, key=lambda entry: bool(entry.refused))


def find(name: str) -> Entry | None:
    """The entry called `name`, a release and an id; None where no release is called so.

    Raises:
        ClampdownError: the release is there, but not that id.
    """
    release, _, sae_id = name.partition("/")
    if release not in _releases():
        return None
    found = next((entry for entry in _of_release(release) if entry.name == name), None)
    if found is None:
        some = ", ".join(entry.name.partition("/")[2] for entry in _of_release(release)[:4])
        raise ClampdownError(
            f"release {release} has no SAE {sae_id!r}, but {some} …; `clampdown sae search {release}` lists them"
        )
    return found


def neuronpedia_of(name: str) -> str:
    """What Neuronpedia calls an SAE, such as gpt2-small/8-res-jb, by its name with or without a commit; else empty."""
    try:
        entry = find(name.partition("@")[0])
    except ClampdownError:
        return ""
    return entry.neuronpedia if entry is not None else ""


def neuronpedia_page(called: str) -> str:
    """The address of what Neuronpedia calls so; a latent's is that, a slash and its number."""
    return f"{_NEURONPEDIA}/{called}"


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """All that others have published."""
    in_order = (sorted(_of_release(release), key=lambda entry: entry.layer or 0) for release in _releases())
    return tuple(entry for release in in_order for entry in release)


def bundled_entry() -> Entry:
    """What the bundled SAE's file says of itself."""
    with BUNDLED_FILE.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    facts = json.loads(header["__metadata__"]["sae"])
    return Entry(BUNDLED, str(facts.get("model") or ""), facts["layer"], str(header["w_enc"]["shape"][0]))


@lru_cache(maxsize=1)
def directory() -> dict[str, Any]:
    """The list that comes along: its `source` in words, and its `releases` by name."""
    return dict(json.loads(gzip.decompress(PUBLISHED_FILE.read_bytes())))


def _releases() -> dict[str, Any]:
    return dict(directory()["releases"])


def _of_release(release: str) -> list[Entry]:
    facts = _releases()[release]
    overrides = facts.get("config_overrides") or {}
    return [
        Entry(
            name=f"{release}/{sae['id']}",
            model=str(facts.get("model") or ""),
            layer=_layer(f"{sae['id']} {sae['path']}"),
            width=_width(f"{release} {sae['id']}"),
            refused=_why_not(facts.get("conversion_func"), f"{release} {sae['id']} {sae['path']}", overrides),
            repo=str(facts["repo_id"]),
            inside=str(sae["path"]),
            input_scale=sae.get("norm_scaling_factor"),
            overrides=overrides,
            sha256=str(sae.get("sha256") or ""),
            neuronpedia=str(sae.get("neuronpedia") or ""),
        )
        for sae in facts["saes"]
    ]


def _why_not(reader: str | None, named: str, overrides: Mapping[str, Any]) -> str:
    if reader in _UNREADABLE:
        return _UNREADABLE[reader]
    if (reader or "sae_lens") not in _READABLE:
        return f"unknown format {reader}"
    for reason, pattern in _PLACES.items():
        if re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", named, re.IGNORECASE):
            return reason
    if (overrides.get("model_from_pretrained_kwargs") or {}).get("center_writing_weights"):
        return "for centred weights"
    return ""


def _layer(named: str) -> int | None:
    for pattern in _LAYERS:
        if found := re.search(pattern, named):
            before = "hook_resid_pre" in named  # the output of the block before
            return max(0, int(found[1]) - before)
    return None


def _width(named: str) -> str:
    for pattern in _WIDTHS:
        if found := re.search(pattern, named, re.IGNORECASE):
            return str(2 ** int(found[1])) if "pow" in pattern else found[1].lower()
    return ""


def _plain(model: str) -> str:
    """A model's name without its owner and punctuation, so that gemma-2-2b is found by google/gemma_2_2b."""
    return re.sub(r"[^a-z0-9]", "", model.rpartition("/")[2].casefold())
