"""How good an SAE is on text it never saw: sparsity, variance unexplained, and the loss it adds when spliced in."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Clamp, Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering

_ROWS = 8


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
    """

    tokens: int
    l0: float
    fvu: float
    cross_entropy: float
    cross_entropy_added: float
    silent: float


@torch.inference_mode()
def evaluate_sae(model: ChatModel, sae: SAE, rows: Sequence[list[int]], progress: Progress = quiet) -> SAEFacts:
    """Measure an SAE on rows of token ids."""
    splice = Recipe("splice", model.name, model.sha256, (Clamp(sae.name, sae.sha256, sae.layer, {}, "reconstruct"),))
    active, error, plain, spliced, places = 0.0, 0.0, 0.0, 0.0, 0
    fired = torch.zeros(sae.n_latents, dtype=torch.bool)
    kept: list[Tensor] = []
    for at in range(0, len(rows), _ROWS):
        batch = model.pad(rows[at : at + _ROWS], side="right")
        real = batch.attention_mask.bool()
        real[:, 0] = False
        x = model.residual(batch, [sae.layer])[0][real].float()
        z = sae.encode(x)
        active += float((z > 0).sum())
        fired |= (z > 0).any(0).cpu()
        error += float((x - sae.decode(z, sae.normalised(x))).pow(2).sum())
        kept.append(x.cpu())
        places += len(x)
        plain += _loss(model, batch.as_inputs(), real)
        with Steering(model, splice, saes=[sae]):
            spliced += _loss(model, batch.as_inputs(), real)
        progress("measuring the SAE", len(x), sum(map(len, rows)), "")
    everything = torch.cat(kept)
    variance = float((everything - everything.mean(0)).pow(2).sum())
    return SAEFacts(
        tokens=places,
        l0=active / places,
        fvu=error / variance,
        cross_entropy=plain / places,
        cross_entropy_added=(spliced - plain) / places,
        silent=1 - float(fired.float().mean()),
    )


def _loss(model: ChatModel, inputs: dict[str, Tensor], real: Tensor) -> float:
    """Summed cross-entropy of the tokens marked real, each predicted from those before it."""
    logits = model.hf(**inputs, use_cache=False).logits[:, :-1].float()
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), inputs["input_ids"][:, 1:], reduction="none")
    return float(loss[real[:, 1:]].sum())
