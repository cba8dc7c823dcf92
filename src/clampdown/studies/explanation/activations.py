"""Ordinary activations at one layer: their covariance, and how often an SAE's latents fire on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.discovery.answers import REFUSAL
from clampdown.measuring.sets.sets import builtin_set, selecting_prompts
from clampdown.models.chat_model import ChatModel
from clampdown.saes.sae import SAE
from clampdown.saes.tiles import tokens_at_a_time

_PROMPTS = 64
_PASSAGES = 24
_PASSAGE_TOKENS = 64
_UNSAFE = 24
_BATCH = 16
PHILOSOPHY = (
    "What did Kant mean by the categorical imperative?",
    "Is the mind separate from the body, as Descartes argued?",
    "Explain Plato's theory of forms and the allegory of the cave.",
    "How do utilitarians and deontologists disagree about moral duty?",
    "Can we have free will if every event has a cause?",
    "What is existentialism, and what did Sartre say about freedom?",
    "Does knowledge need more than justified true belief?",
    "What is the meaning of life according to Aristotle's ethics?",
)


def residuals(model: ChatModel, layer: int, rows: Sequence[Sequence[int]], sink_norm: float | None) -> Tensor:
    """Residuals after a layer of all tokens but sinks, unsteered, in float32: [token, d_model]."""
    kept = []
    order = sorted(rows, key=len)
    for start in range(0, len(order), _BATCH):
        batch = model.pad(order[start : start + _BATCH], side="right")
        with model.unsteered():
            x = model.residual(batch, [layer])[0].float()
        real = batch.attention_mask.bool().to(x.device)
        real[:, 0] = False
        if sink_norm is not None:
            real &= x.norm(dim=-1) <= sink_norm
        kept.append(x[real])
    return torch.cat(kept)


@dataclass(frozen=True)
class Ordinary:
    """Activations at one layer on built-in prompts and passages of the selecting halves, which no loss is measured on.

    Attributes:
        x: residuals, [token, d_model].
        unsafe: the same on unsafe prompts and on a refusal; philosophy: on questions of philosophy.
    """

    x: Tensor
    unsafe: Tensor
    philosophy: Tensor

    @classmethod
    def read(cls, model: ChatModel, layer: int, seed: int, sink_norm: float | None) -> "Ordinary":
        prompts = selecting_prompts("safe", _PROMPTS, seed)
        texts = builtin_set("text").half("select").sample(_PASSAGES, seed).items
        plain: list[Sequence[int]] = [model.prompt_ids(prompt) for prompt in prompts]
        plain += [model.text_ids(text.text)[:_PASSAGE_TOKENS] for text in texts]
        unsafe = [model.prompt_ids(p) + model.ids(REFUSAL) for p in selecting_prompts("unsafe", _UNSAFE, seed)]
        others = [model.prompt_ids(prompt) for prompt in PHILOSOPHY]
        return cls(*(residuals(model, layer, rows, sink_norm) for rows in (plain, unsafe, others)))

    @property
    def covariance(self) -> Tensor:
        """Σ, [d_model, d_model] in float64, the mean taken off."""
        return covariance(self.x)


def covariance(x: Tensor) -> Tensor:
    """Of x [token, d_model], in float64."""
    centred = x.double() - x.double().mean(0)
    return centred.T @ centred / max(1, len(x) - 1)


@dataclass(frozen=True)
class Firing:
    """Of each latent of an SAE, [n_latents]: its share of ordinary tokens, of unsafe ones, and of philosophy's."""

    rate: Tensor
    unsafe: Tensor
    philosophy: Tensor
    largest: Tensor

    @classmethod
    def of(cls, sae: SAE, ordinary: Ordinary) -> "Firing":
        rate, largest = _fired(sae, ordinary.x)
        largest = largest if sae.maximum is None else sae.maximum.float().to(largest.device)
        return cls(rate, _fired(sae, ordinary.unsafe)[0], _fired(sae, ordinary.philosophy)[0], largest)

    @property
    def alive(self) -> list[int]:
        """Latents that are known to fire."""
        return (self.largest > 0).nonzero().squeeze(-1).tolist()

    def philosophical(self) -> int | None:
        """The latent whose firing tells questions of philosophy best from ordinary tokens; None where none does."""
        gain = self.philosophy - self.rate
        best = int(gain.argmax())
        clear = float(self.philosophy[best]) >= 0.1 and float(self.rate[best]) <= float(self.philosophy[best]) / 5
        return best if clear else None

    def innocent(self, pool: Sequence[int]) -> int | None:
        """Of some latents the one that fires most on ordinary tokens, and on none of unsafe prompts and a refusal."""
        apart = [latent for latent in pool if float(self.unsafe[latent]) == 0 and float(self.rate[latent]) > 0]
        return max(apart, key=lambda latent: float(self.rate[latent]), default=None)


def _fired(sae: SAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """(share of tokens on which each latent fires, its largest activation there)."""
    count, best = torch.zeros(sae.n_latents), torch.zeros(sae.n_latents)
    own = sae.to(x.device)
    with torch.inference_mode():
        for tile in x.split(tokens_at_a_time(sae.n_latents)):
            z = own.encode(tile)
            count += (z > 0).sum(0).cpu()
            best = torch.maximum(best, z.amax(0).cpu())
    return count / max(1, len(x)), best
