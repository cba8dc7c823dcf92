"""Few latents: chosen by attribution, by what they write, by pruning, or to rebuild a direction."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE, REFUSAL
from clampdown.discovery.candidates import attribution, latent_maxima
from clampdown.discovery.choose import clamp_delta
from clampdown.discovery.evidence import Scorer

if TYPE_CHECKING:
    from arm_families import Workshop

TEXT_COUNTS = 10.0
"""A nat a token on plain text is worth so many of the log-odds of a refusal."""


def by_attribution(shop: "Workshop") -> list[int]:
    """The two latents that a first-order estimate says to raise refusing most."""
    return attribution(shop.sae, shop.evidence, 2, latent_maxima(shop.sae, shop.evidence))


def by_logits(shop: "Workshop") -> list[int]:
    """The two latents that write the refusal's words most, and the compliance's least, through the head alone."""
    head = shop.model.hf.get_output_embeddings().weight.float()
    norm = shop.model.hf.model.norm.weight.float()
    words = [head[torch.tensor(shop.model.text_ids(text))].mean(0) for text in (REFUSAL, COMPLIANCE)]
    return (shop.sae.w_dec.float() @ (norm * (words[0] - words[1]))).topk(2).indices.tolist()


def pursued(rows: Tensor, target: Tensor, most: int) -> dict[int, dict[int, float]]:
    """Orthogonal matching pursuit of a vector [d_model] by rows [n, d_model], coefficients not negative.

    For each number of rows up to `most` the coefficients of those that are not at 0.
    """
    chosen: list[int] = []
    left, found = target, {}
    for count in range(1, most + 1):
        fit = rows @ left / rows.norm(dim=-1)
        fit[chosen] = -torch.inf
        chosen.append(int(fit.argmax()))
        own = rows[chosen]
        coefficients = torch.linalg.lstsq(own.T, target[:, None]).solution.squeeze(-1).clamp_min(0)
        left = target - coefficients @ own
        found[count] = {i: float(c) for i, c in zip(chosen, coefficients, strict=True) if c > 0}
    return found


def pruned(shop: "Workshop", pool: int = 8) -> dict[int, dict[int, float]]:
    """What is left of the shipped latents and those by attribution, each at its value, as the worst is taken out.

    What stays is worth most: the gain in log-odds of refusing unsafe prompts (nats), less TEXT_COUNTS times the KL on
    plain text (nats a token), both on the selecting half. For each number of latents down to one, the set.
    """
    maxima = latent_maxima(shop.sae, shop.evidence)
    left = {k: float(maxima[k]) for k in attribution(shop.sae, shop.evidence, pool, maxima)}
    left |= shop.clamp.clamps[0].values
    scorer, found = Scorer(shop.evidence.some(12, 6)), {len(left): dict(left)}
    while len(left) > 1:
        rests = [{k: value for k, value in left.items() if k != out} for out in left]
        deltas = [clamp_delta(shop.sae, list(rest), torch.tensor(list(rest.values()))) for rest in rests]
        at_once = scorer.at_once()
        scores = [one for i in range(0, len(deltas), at_once) for one in scorer.scores(deltas[i : i + at_once])]
        worth = [one.unsafe_gain - TEXT_COUNTS * one.kl for one in scores]
        left = rests[worth.index(max(worth))]
        found[len(left)] = dict(left)
    return found
