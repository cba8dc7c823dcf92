"""Quantities that need no benchmark and may tell what a push will cost; of each, more should mean a greater loss.

With Δ [token, d_model] what is added and x the residual, on ordinary prompts where the recipe edits:

- relative: mean ‖Δ‖ / ‖x‖
- energy: mean ΔᵀΣΔ, with Σ the covariance of ordinary activations, over Σ's trace
- overlap: the share of Σ‖Δ‖² in the top tenth of Σ's principal components
- footprint: how unevenly Δ moves the logits if it went straight to the final norm and head: the standard deviation over
  the vocabulary, mean over tokens
- entropy: how far it moves the next token's entropy that way, nats
- attention: how far later blocks' attention turns (see `attention`)
- kl: KL(unsteered ‖ steered) on plain text, nats a token (see `losses`)
"""

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE
from clampdown.engine.blocks import Split
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.models.chat_model import ChatModel

NAMES = ("relative", "energy", "overlap", "footprint", "entropy", "attention", "kl")
LABELS = {
    "relative": "‖Δ‖ / ‖x‖",
    "energy": "ΔᵀΣΔ",
    "overlap": "overlap with the active subspace",
    "footprint": "direct logit footprint",
    "entropy": "direct change of entropy",
    "attention": "attention turned",
    "kl": "KL on plain text",
}
_PROMPTS = 8
_TOKENS = 48


def relative(delta: Tensor, x: Tensor) -> float:
    """Mean ‖Δ‖ / ‖x‖."""
    return float((delta.norm(dim=-1) / x.norm(dim=-1).clamp_min(1e-12)).mean())


def energy(delta: Tensor, covariance: Tensor) -> float:
    """Mean ΔᵀΣΔ over the trace of Σ, in the residual's units squared."""
    delta = delta.to(covariance.dtype)
    return float(((delta @ covariance) * delta).sum(-1).mean() / covariance.trace().clamp_min(1e-30))


def active_subspace(covariance: Tensor) -> Tensor:
    """The top tenth of the principal components, at least one: [component, d_model], orthonormal."""
    _, vectors = torch.linalg.eigh(covariance)
    return vectors.T[-max(1, len(covariance) // 10) :]


def overlap(delta: Tensor, basis: Tensor) -> float:
    """The share of Δ's squared length that lies in an orthonormal basis [component, d_model]."""
    delta = delta.to(basis.dtype)
    return float((delta @ basis.T).square().sum() / delta.square().sum().clamp_min(1e-30))


class DirectLogits:
    """The final norm and head alone, on the last block's residuals of ordinary prompts."""

    def __init__(self, model: ChatModel, seed: int) -> None:
        rows = [model.prompt_ids(p) + model.ids(COMPLIANCE) for p in selecting_prompts("safe", _PROMPTS, seed)]
        batch = model.pad(rows, side="right")
        last = model.n_layers - 1
        self.split = Split(model, last)
        with model.unsteered():
            x = model.residual(batch, [last])[0]
        real = batch.attention_mask.bool().to(x.device)
        real[:, 0] = False
        kept = x[real]
        self.x = kept[:: max(1, len(kept) // _TOKENS)][:_TOKENS]
        self.plain = self._logits(torch.zeros_like(self.x[0]))

    def of(self, push: Tensor) -> tuple[float, float]:
        """(footprint, entropy) of a push [d_model]."""
        logits = self._logits(push)
        spread = (logits - self.plain).std(-1).mean()
        return float(spread), float((entropy(logits) - entropy(self.plain)).abs().mean())

    @torch.inference_mode()
    def _logits(self, push: Tensor) -> Tensor:
        x = (self.x.float() + push.to(self.x.device).float()).to(self.x.dtype)[None]
        ids = torch.zeros(1, x.shape[1], dtype=torch.long, device=x.device)
        with self.split.model.unsteered():
            out = self.split.upper(x, {"input_ids": ids, "use_cache": False})
        return out.logits[0].float()


def entropy(logits: Tensor) -> Tensor:
    """Of the distribution that logits [..., vocabulary] give, in nats: [...]."""
    told = logits.log_softmax(-1)
    return -(told.exp() * told).sum(-1)
