"""How good an SAE is on text it never saw: sparsity, variance unexplained, and the loss it adds when spliced in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.measuring.finite import NOT_FINITE_UNSTEERED
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Clamp, Positions, Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering

_ROWS = 8
_VALUES = 2**27
"""Activations or logits held at a time: half a gibibyte of them."""


@dataclass(frozen=True)
class SAEFacts:
    """What was measured, sinks left out.

    Attributes:
        tokens: how many were looked at.
        l0: mean number of latents on at a token.
        fvu: fraction of variance unexplained, the mean taken off first.
        cross_entropy: of the model as it is, nats a token.
        cross_entropy_added: what splicing the reconstruction in adds to it, nats a token.
        silent: fraction of latents that fired on none of the tokens.
        norm: mean length of the residual.
        nearby: the fraction of variance unexplained at other layers that were asked for.
    """

    tokens: int
    l0: float
    fvu: float
    cross_entropy: float
    cross_entropy_added: float
    silent: float
    norm: float
    nearby: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in [*vars(self).items(), *((f"fvu at layer {k}", v) for k, v in self.nearby.items())]:
            if isinstance(value, float) and not math.isfinite(value):
                raise ClampdownError(
                    f"what was measured of the SAE is not finite ({name.replace('_', ' ')}); try --dtype float32"
                )


class _Fit:
    """Sums over the residuals of one layer, and over what an SAE makes of them."""

    def __init__(self, sae: SAE) -> None:
        self.sae = sae
        self.active, self.error, self.length = 0.0, 0.0, 0.0
        self.fired = torch.zeros(sae.n_latents, dtype=torch.bool)
        self.kept: list[Tensor] = []

    def add(self, x: Tensor) -> None:
        """Take in residuals [tokens, d_model]."""
        sae = self.sae.to(x.device)
        z = sae.encode(x)
        self.active += float((z > 0).sum())
        self.fired |= (z > 0).any(0).cpu()
        self.error += float((x - sae.decode(z, sae.normalised(x))).pow(2).sum())
        self.length += float(x.norm(dim=-1).sum())
        self.kept.append(x.cpu())

    @property
    def fvu(self) -> float:
        everything = torch.cat(self.kept)
        return self.error / max(float((everything - everything.mean(0)).pow(2).sum()), 1e-30)


@torch.inference_mode()
def evaluate_sae(
    model: ChatModel,
    sae: SAE,
    rows: Sequence[list[int]],
    progress: Progress = quiet,
    *,
    sink_norm: float | None = None,
    nearby: Sequence[int] = (),
) -> SAEFacts:
    """Measure an SAE on rows of token ids.

    Sinks are each row's first position and, where `sink_norm` is given, positions whose residual at the SAE's layer is
    longer. `nearby` names layers whose variance is looked at too, as if the SAE were theirs.

    Raises:
        ClampdownError: fewer than two tokens to look at; a residual or logits that are not finite.
    """
    positions = Positions(sink_norm=sink_norm)
    clamp = Clamp(sae.name, sae.sha256, sae.layer, {}, "reconstruct")
    splice = Recipe("splice", model.name, model.sha256, (clamp,), positions)
    plain, spliced, places = 0.0, 0.0, 0
    here = _Fit(sae)
    others = {layer: _Fit(sae) for layer in nearby}
    size = _rows_at_once(model, sae, rows)
    for at in range(0, len(rows), size):
        batch = model.pad(rows[at : at + size], side="right")
        real = batch.attention_mask.bool()
        real[:, 0] = False
        with model.unsteered():
            found = model.residual(batch, [sae.layer, *nearby])
        if sink_norm is not None:
            real &= (found[0].float().norm(dim=-1) <= sink_norm).to(real.device)
        for layer, fit, x in zip([sae.layer, *nearby], [here, *others.values()], found, strict=True):
            fit.add(finite_residual(model, layer, x[real.to(x.device)].float()))
        places += int(real.sum())
        with model.unsteered():
            plain += _loss(model, batch.as_inputs(), real, NOT_FINITE_UNSTEERED)
        with Steering(model, splice, saes=[sae]):
            spliced += _loss(model, batch.as_inputs(), real, f"with SAE {sae.name} spliced in, {NOT_FINITE_UNSTEERED}")
        progress("measuring the SAE", sum(map(len, rows[at : at + size])), sum(map(len, rows)), "")
    if places < 2:
        raise ClampdownError(
            "the text holds fewer than two tokens to look at, its rows' first ones left out; give more"
        )
    return SAEFacts(
        tokens=places,
        l0=here.active / places,
        fvu=here.fvu,
        cross_entropy=plain / places,
        cross_entropy_added=(spliced - plain) / places,
        silent=1 - float(here.fired.float().mean()),
        norm=here.length / places,
        nearby={layer: fit.fvu for layer, fit in others.items()},
    )


def _rows_at_once(model: ChatModel, sae: SAE, rows: Sequence[list[int]]) -> int:
    vocabulary = model.hf.get_input_embeddings().weight.shape[0]
    wide = max(map(len, rows)) * max(sae.n_latents, vocabulary)
    return max(1, min(_ROWS, _VALUES // wide))


def finite_residual(model: ChatModel, layer: int, x: Tensor) -> Tensor:
    """The residual after a block. Raises ClampdownError unless all of it is finite."""
    if not x.isfinite().all():
        raise ClampdownError(
            f"{model.name}'s residual after block {layer} is not finite: its weights are damaged, or too large for "
            "this dtype; fetch it again, or load it as float32"
        )
    return x


def _loss(model: ChatModel, inputs: dict[str, Tensor], real: Tensor, error: str) -> float:
    """Summed cross-entropy of the tokens marked real, each predicted from those before it.

    Raises ClampdownError, with this `error`, unless it is finite.
    """
    logits = model.hf(**inputs, use_cache=False).logits[:, :-1].float()
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), inputs["input_ids"][:, 1:], reduction="none")
    total = float(loss[real[:, 1:]].sum())
    if not math.isfinite(total):
        raise ClampdownError(error)
    return total
