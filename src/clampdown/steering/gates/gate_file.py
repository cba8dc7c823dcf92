"""A gate's file: safetensors whose header says what is read, how it is pooled, and what two prompts came to."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError, reason
from clampdown.reading import check_file, stand_in
from clampdown.recipe import Gate
from clampdown.recipe.gate import GOES_WITH
from clampdown.saes.hashes import file_sha256, file_version
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part
from clampdown.steering.gates.words import Words
from clampdown.writing import beside

FORMAT = "clampdown-gate-1"
_PART = ("layer", "features", "pool", "over", "window", "sae", "sae_sha256")
_TENSORS = ("head", "w", "b", "attend")
_WORDS = ("unit", "shortest", "longest", "sublinear", "over")


@dataclass(frozen=True)
class Sample:
    """A prompt whose score at fitting is known: token ids, spans of its user turns (`user`, None: unknown), text."""

    score: float
    ids: tuple[int, ...] = ()
    user: tuple[tuple[int, int], ...] | None = None
    text: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.score) or not (self.ids or self.text):
            raise ClampdownError("a sample needs a finite score, and ids or a text")


@dataclass(frozen=True, eq=False)
class GateFile:
    """What scores a prompt: bias + Σ parts + words + hidden + windows.

    Attributes:
        hidden: what the parts with "hidden" features feed; there is none without such parts.
        windows: what those of them feed whose pool is max, a layer of its own.
        threshold: the gate opens at this score, unless a recipe says another.
        opened, shut: a prompt on each side of the threshold, which a self-test scores again.
        model, model_sha256: the model whose residuals are read; a gate of words alone needs none.
        about: texts that say where it comes from.
    """

    threshold: float
    opened: Sample
    shut: Sample
    bias: float = 0.0
    parts: tuple[Part, ...] = ()
    words: Words | None = None
    hidden: Hidden | None = None
    windows: Hidden | None = None
    model: str = ""
    model_sha256: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.parts or self.words):
            raise ClampdownError("a gate reads nothing; give it a part, or words")
        for layer, of_windows in ((self.hidden, False), (self.windows, True)):
            feeding = [part for part in self.parts if part.feeds and part.of_windows == of_windows]
            units = {len(part.w) for part in feeding if part.w is not None}
            if units != (set() if layer is None else {len(layer.head)}):
                raise ClampdownError(
                    "a gate's hidden layer and the parts that feed it must have the same number of units"
                )
            if of_windows and len({(part.over, part.window) for part in feeding}) > 1:
                raise ClampdownError("the parts that feed a gate's layer of windows must read the same windows")
        if not all(isinstance(number, float) and math.isfinite(number) for number in (self.threshold, self.bias)):
            raise ClampdownError("a gate's threshold and bias must be finite numbers")
        texts = (self.model, self.model_sha256, *self.about, *self.about.values())
        if not all(isinstance(text, str) for text in texts):
            raise ClampdownError("a gate's model, its hash and what is said about it must be texts")
        if not self.opened.score >= self.threshold > self.shut.score:
            raise ClampdownError("a gate's two samples must lie on the two sides of its threshold")
        if self.parts and not all(sample.ids for sample in (self.opened, self.shut)):
            raise ClampdownError("a gate that reads residuals needs its samples' token ids")
        if not self.parts and not all(sample.text for sample in (self.opened, self.shut)):
            raise ClampdownError("a gate that reads words needs its samples' texts")

    @property
    def layers(self) -> list[int]:
        return sorted({part.layer for part in self.parts})


def save_gate(gate: GateFile, path: Path) -> Gate:
    """Write a gate's file atomically; what a recipe names it by.

    Raises:
        ClampdownError: the file can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    parts = []
    for number, part in enumerate(gate.parts):
        parts.append({key: getattr(part, key) for key in _PART} | {"latents": list(part.latents)})
        tensors |= {f"{number}.{name}": tensor for name, tensor in part.tensors().items()}
    body: dict[str, Any] = {key: getattr(gate, key) for key in ("threshold", "bias", "model", "model_sha256")}
    body |= {"parts": parts, "about": dict(gate.about)}
    body |= {"samples": [vars(gate.opened), vars(gate.shut)]}
    if gate.words is not None:
        body["words"] = {key: getattr(gate.words, key) for key in _WORDS}
        body["words"]["vocabulary"] = list(gate.words.vocabulary)
        tensors |= {"words.idf": gate.words.idf, "words.weight": gate.words.weight}
    for name, layer in (("hidden", gate.hidden), ("windows", gate.windows)):
        if layer is not None:
            tensors |= {f"{name}.b": layer.b, f"{name}.head": layer.head}
    # Copies: the format refuses tensors that share memory.
    stored = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    with beside(path) as part_of_file:
        try:
            # One entry: safetensors writes several in any order, and the same gate would have another hash.
            save_file(stored, part_of_file, metadata={FORMAT: json.dumps(body, allow_nan=False)})
        except SafetensorError as error:
            raise ClampdownError(f"could not write {path}: {error}") from error
    return Gate(str(path), file_sha256(path))


def read_gate(gate: Gate) -> GateFile:
    """The file of a recipe's gate.

    Raises:
        ClampdownError: it is missing, another than its hash says, damaged, or not a gate's.
    """
    path = Path(gate.file).absolute()
    try:
        check_file(path, "gate")
    except ClampdownError as error:
        way_out = "" if path.exists() else f"; {GOES_WITH}"
        raise ClampdownError(f"{error}{way_out}") from error
    if _sha256(path, tuple(file_version(path))) != gate.sha256:
        found = stand_in(path) or "fetch it again"
        raise ClampdownError(
            f"gate {path} is not the file that the recipe names (its hash is another): {found}, or fit a new one"
        )
    return _load(path, tuple(file_version(path)))


@lru_cache(maxsize=64)
def _sha256(path: Path, _version: tuple[int, ...]) -> str:
    """The file's hash: each prompt would else read all of it again."""
    return file_sha256(path)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # kept for whoever comes later, who may want gradients
def _load(path: Path, _version: tuple[int, ...]) -> GateFile:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # Copies: what is mapped would change with the file, under those who hold it by its hash.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ClampdownError(f"gate {path} is not a readable safetensors file ({error}); fetch it again") from error
    if FORMAT not in header:
        raise ClampdownError(f"gate {path} is not in Clampdown's format; its header lacks {FORMAT!r}")
    try:
        return _made(json.loads(header[FORMAT]), tensors)
    except ClampdownError as error:
        raise ClampdownError(f"gate {path}: {error}; fetch it again, or fit a new one") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ClampdownError(f"gate {path}: its header is damaged ({reason(error)}); fetch it again") from error


def _made(body: dict[str, Any], tensors: dict[str, Tensor]) -> GateFile:
    """The gate of a header; an unknown key or tensor is an error, for it may change the score."""
    body, left = dict(body), dict(tensors)
    parts = []
    for number, said in enumerate(body.pop("parts")):
        held = {name: left.pop(f"{number}.{name}", None) for name in _TENSORS}
        parts.append(Part(**{**said, "latents": tuple(map(int, said["latents"]))}, **held))
    words = None
    if (said := body.pop("words", None)) is not None:
        vocabulary = tuple(map(str, said.pop("vocabulary")))
        words = Words(left.pop("words.idf"), left.pop("words.weight"), vocabulary, **said)
    layers = [_layer(name, left) for name in ("hidden", "windows")]
    opened, shut = (_sample(sample) for sample in body.pop("samples"))
    if left:
        raise ClampdownError(f"unknown tensors {', '.join(sorted(left))}; a newer Clampdown wrote it")
    return GateFile(
        parts=tuple(parts), words=words, hidden=layers[0], windows=layers[1], opened=opened, shut=shut, **body
    )


def _layer(name: str, left: dict[str, Tensor]) -> Hidden | None:
    """The hidden layer of that name, whose tensors are taken out."""
    held = {key: left.pop(f"{name}.{key}") for key in ("b", "head") if f"{name}.{key}" in left}
    return Hidden(**held) if held else None


def _sample(body: Mapping[str, Any]) -> Sample:
    user = body["user"]
    spans = None if user is None else tuple((int(start), int(end)) for start, end in user)
    return Sample(float(body["score"]), tuple(map(int, body["ids"])), spans, str(body["text"]))
