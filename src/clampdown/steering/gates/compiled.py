"""A gate made ready for a model: checked against it, and its tensors where the blocks run."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Gate, Recipe
from clampdown.saes.competition import Crowd
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.steering.gates.gate_file import GateFile, read_gate
from clampdown.steering.gates.overflow import or_nan
from clampdown.steering.gates.parts import Part
from clampdown.steering.gates.spans import read_text
from clampdown.steering.weights import check_weights

_AT_A_TIME = 4096
"""Tokens whose residuals are held in float32 at once."""


class CompiledPart:
    """A part whose tensors lie where its block runs.

    Raises:
        ClampdownError: it is for residuals of another width, or its SAE is missing or does not fit.
    """

    def __init__(self, part: Part, model: ChatModel) -> None:
        self.part, device = part, model.device_at(part.layer)
        part.check_width(model.d_model)
        self.head, self.w, self.b, self.attend = (
            None if tensor is None else tensor.to(device) for tensor in (part.head, part.w, part.b, part.attend)
        )
        self._few: SAE | None = None
        self._crowd: Crowd | None = None
        if part.features == "sae":
            sae = _sae(part, model.d_model)
            self._few = sae.only(part.latents).to(device)
            self._crowd = sae.crowd(device) if sae.kind == "topk" else None
            self._index = torch.tensor(part.latents, dtype=torch.long, device=device)
        elif part.features == "cosine":
            assert self.w is not None
            self.w = self.w / self.w.norm(dim=-1, keepdim=True)

    def features(self, x: Tensor) -> Tensor:
        """f of residuals x [token, d_model]: [token, feature]."""
        x = x.float()
        if self._few is not None:
            inner = self._few.normalised(x).inner
            z = self._few.activations(inner)
            if self._crowd is not None:
                z = self._crowd.winners(self._few.centred(inner), z, self._index)
            return z + 0 * or_nan(x).sum(-1, keepdim=True)
        assert self.w is not None
        pre = torch.nn.functional.linear(x, self.w, self.b)
        if self.part.features == "relu":
            return or_nan(pre).clamp_min(0)
        if self.part.features == "cosine":
            return pre.abs() / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        return pre

    def scores(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """s of these tokens of x [row, column, d_model], and beside it their logits of attention: [token, 1 or 2].

        Of a part that feeds the hidden layer what each token gives it: [token, unit].
        """
        told = []
        for some, places in zip(rows.split(_AT_A_TIME), columns.split(_AT_A_TIME), strict=True):
            tokens = x[some, places].float()
            if self.head is None:
                told.append(self.features(tokens))
                continue
            found = [self.features(tokens) @ self.head]
            if self.attend is not None:
                found.append(tokens @ self.attend)
            told.append(torch.stack(found, dim=-1))
        return torch.cat(told)

    def sums(self, x: Tensor, rows: Tensor, columns: Tensor, counts: Sequence[int]) -> Tensor:
        """What sums of tokens give the hidden layer, [prompt, unit]: a product for each prompt, not for each token.

        counts: how many tokens each prompt has, which lie one prompt after the other.
        """
        if all(count == 1 for count in counts):
            return self.features(x[rows, columns])
        each = zip(rows.split(list(counts)), columns.split(list(counts)), strict=True)
        return self.features(torch.stack([x[some, places].float().sum(0) for some, places in each]))


@dataclass(frozen=True, eq=False)
class CompiledGate:
    """A gate that scores prompts of one model. `threshold` is the recipe's, or the file's own; `sha256` the file's."""

    file: GateFile
    threshold: float
    parts: tuple[CompiledPart, ...]
    sha256: str = ""

    def words_score(self, model: ChatModel, prompt: Sequence[int]) -> float:
        """What the text of a prompt (token ids) adds."""
        words = self.file.words
        if words is None:
            return 0.0
        turns = read_text(prompt, words.over)
        return words.score("\n".join(model.tokenizer.decode(ids, skip_special_tokens=True) for ids in turns))


_MADE: WeakKeyDictionary[nn.Module, dict[str, tuple[CompiledPart, ...]]] = WeakKeyDictionary()
"""What was compiled for a model, by the hash of the gate's file: each prompt would else send its tensors again."""


@torch.inference_mode(False)  # what is kept here may be asked for gradients later
def compile_gate(model: ChatModel, recipe: Recipe) -> CompiledGate:
    """The gate of a recipe that scores prompts by a file.

    Raises:
        ClampdownError: the recipe is for another model; the gate's file can't be read, or is for another.
    """
    check_weights(model, recipe)
    gate = recipe.gate
    assert isinstance(gate, Gate) and gate.file
    file = read_gate(gate)
    known = _MADE.setdefault(model.hf, {})
    try:
        if gate.sha256 not in known:
            if not model.is_named(file.model_sha256):
                raise ClampdownError(
                    f"it was fitted on {file.model} with weights {file.model_sha256[:12]}, but the loaded {model.name} "
                    f"has {model.sha256[:12]}; fit another"
                )
            known[gate.sha256] = tuple(CompiledPart(part, model) for part in file.parts)
    except ClampdownError as error:
        raise ClampdownError(f"recipe {recipe.name}: gate {gate.file}: {error}") from error
    threshold = file.threshold if gate.threshold is None else gate.threshold
    return CompiledGate(file, threshold, known[gate.sha256], gate.sha256)


def _sae(part: Part, d_model: int) -> SAE:
    sae = load_sae(part.sae)
    if part.sae_sha256 and sae.sha256 != part.sae_sha256:
        raise ClampdownError(f"SAE {part.sae} is not the one that the gate was fitted with; its hash is another")
    if sae.d_model != d_model:
        raise ClampdownError(f"SAE {part.sae} is for residuals of width {sae.d_model}, the model's is {d_model}")
    if max(part.latents) >= sae.n_latents:
        raise ClampdownError(f"SAE {part.sae} has latents 0 to {sae.n_latents - 1}, the gate reads {max(part.latents)}")
    return sae
