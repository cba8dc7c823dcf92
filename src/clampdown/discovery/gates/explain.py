"""Which of an SAE's latents go with a gate's decisions.

Of a gate that reads latents they are its own: what each adds to the score. Of any other, those whose activation goes up
and down with the score over the prompts that were checked; that tells what the gate is like, not how it computes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.discovery.describe import promoted
from clampdown.discovery.gates.features import Read, pooled_latents
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress, quiet
from clampdown.saes.sae import SAE
from clampdown.steering.gates.compiled import CompiledGate

_RARE = 0.02


@dataclass(frozen=True)
class Influence:
    """A latent's part in the scores.

    Attributes:
        weight: what the score gains for each unit of its pooled activation; or, `exact` being false, its correlation
            with the score.
        promotes: tokens that its decoder row pushes up most.
    """

    latent: int
    weight: float
    exact: bool
    promotes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Explainer:
    """Explains scores by latents.

    Attributes:
        exact: whether the gate reads these latents.
        weights: as in `Influence`, [n_latents].
        mean, deviation: of activations over the prompts that were checked, [n_latents].
    """

    model: ChatModel
    sae: SAE
    read: Read
    exact: bool
    weights: Tensor
    mean: Tensor
    deviation: Tensor

    def overall(self, count: int) -> list[Influence]:
        """The latents that matter most to the scores of all prompts."""
        strength = (self.weights * self.deviation if self.exact else self.weights).abs()
        return self._influences(strength, self.weights, count)

    def of(self, prompts: Sequence[Prompt], count: int) -> list[list[Influence]]:
        """For each prompt the latents that moved its score most, with what each added: exactly, in the score's units;
        or else its correlation times how many deviations it is from its mean."""
        z = pooled_latents(self.model, prompts, self.sae, self.read)
        shift = z if self.exact else (z - self.mean) / self.deviation.clamp_min(1e-6)
        added = shift * self.weights
        on = (z > 0) if self.exact else (z > 0) | (self.mean > 0)
        return [self._influences((own * here).abs(), own, count) for own, here in zip(added, on, strict=True)]

    def _influences(self, strength: Tensor, told: Tensor, count: int) -> list[Influence]:
        latents = [i for i in strength.topk(min(count, len(strength))).indices.tolist() if strength[i] > 0]
        words = promoted(self.model, self.sae, latents, 4) if latents else []
        return [Influence(i, float(told[i]), self.exact, tuple(own)) for i, own in zip(latents, words, strict=True)]


def explainer(
    model: ChatModel,
    gate: CompiledGate,
    sae: SAE,
    prompts: Sequence[Prompt],
    scores: Sequence[float],
    progress: Progress = quiet,
) -> Explainer:
    """Made from the prompts that were checked, and their scores. `sae`: the gate's own, or the recipe's."""
    parts = [part for part in gate.file.parts if part.features == "sae" and part.sae_sha256 == sae.sha256]
    pools = {(part.pool, part.over) for part in parts}
    exact = bool(parts) and parts == list(gate.file.parts) and len(pools) == 1
    read = Read(*(parts[0].pool, sae.layer, parts[0].over)) if exact else Read("mean", sae.layer)
    z = pooled_latents(model, prompts, sae, read, progress)
    mean, deviation = z.mean(0), z.std(0, correction=0)
    if exact:
        weights = torch.zeros(sae.n_latents)
        for part in parts:
            assert part.head is not None
            weights[list(part.latents)] += part.head
    else:
        score = torch.tensor(scores).float()
        centred = (score - score.mean()) / score.std(correction=0).clamp_min(1e-9)
        weights = (centred @ (z - mean)) / len(z) / deviation.clamp_min(1e-6)
        weights[(z > 0).float().mean(0) < max(_RARE, 2 / len(z))] = 0.0  # on too seldom to go up and down with anything
    return Explainer(model, sae, read, exact, weights, mean, deviation)
