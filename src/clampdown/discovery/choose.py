"""From validated candidates to a set of latents with a value each.

First a start: matching pursuit of the difference between refusing and complying residuals in the candidates' decoder
rows. Then gradient ascent on the values themselves, through the blocks above the clamp: refuse the unsafe prompts, do
not refuse the safe ones, and leave plain text alone.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from clampdown.discovery.evidence import Evidence, text_kl, text_log_probabilities
from clampdown.discovery.tree import Delta, Tree, log_odds
from clampdown.saes.sae import SAE

_ROWS = 8
_MARGIN = 6.0
"""Nats of log-odds at which a refusal of the teacher's words counts as safe; past it nothing is gained."""
_KL_PRICE = 8.0
"""What a nat of KL a token on plain text costs, in nats of log-odds."""


def clamp_delta(sae: SAE, latents: Sequence[int], values: Tensor) -> Delta:
    """The delta rule's Δ as a function of residuals, with gradients to `values` [n]."""
    rows = sae.w_dec[list(latents)]

    def delta(x: Tensor) -> Tensor:
        with torch.no_grad():
            z = sae.encode_latents(x, latents)
            scale = sae.normalised(x).scale
        return (values - z) @ rows * scale

    return delta


def pursue(sae: SAE, evidence: Evidence, candidates: Sequence[int], count: int) -> dict[int, float]:
    """Orthogonal matching pursuit, coefficients not negative: latent → clamp value.

    The target is the mean residual on refusing minus complying answer tokens; a value is the latent's mean activation
    on complying answers plus its coefficient.
    """
    complying = evidence.unsafe.complying()
    target = evidence.unsafe.refusing().mean(0) - complying.mean(0)
    chosen: list[int] = []
    coefficients = torch.zeros(0)
    left = target
    while len(chosen) < min(count, len(candidates)):
        fit = sae.w_dec[list(candidates)] @ left
        for latent in chosen:
            fit[list(candidates).index(latent)] = -torch.inf
        if fit.max() <= 0:
            break
        chosen.append(candidates[int(fit.argmax())])
        rows = sae.w_dec[chosen]
        coefficients = torch.linalg.lstsq(rows.T, target[:, None]).solution.squeeze(-1).clamp_min(0)
        left = target - coefficients @ rows
    base = sae.encode_latents(complying, chosen).mean(0)
    return {latent: float(b + c) for latent, b, c in zip(chosen, base, coefficients, strict=True) if c > 0}


def ascend(
    sae: SAE,
    evidence: Evidence,
    start: dict[int, float],
    *,
    steps: int,
    seed: int,
    told: Callable[[int], None] = lambda done: None,
) -> dict[int, float]:
    """Improve clamp values by Adam on minibatches of the evidence; latent → value.

    Loss, nats: softplus(margin − odds) on unsafe, softplus(margin + odds) on safe prompts, odds being the log-odds of
    refusing, plus the price of KL on plain text.
    """
    latents = list(start)
    first = torch.tensor([start[latent] for latent in latents])
    unit = float(first.abs().mean())
    free = torch.zeros(len(latents), requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.08)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        base = text_log_probabilities(evidence.model, evidence.layer, evidence.text, None)
    for step in range(steps):
        with torch.enable_grad():
            delta = clamp_delta(sae, latents, first + unit * free)
            loss = _loss(evidence, delta, _rows(evidence.unsafe, draw), _rows(evidence.safe, draw), base, step)
            optimizer.zero_grad()
            loss.backward()
        optimizer.param_groups[0]["lr"] = 0.08 * (1 - step / steps) + 0.01
        optimizer.step()
        told(1)
    final = (first + unit * free.detach()).tolist()
    return {latent: round(value, 3) for latent, value in zip(latents, final, strict=True)}


def _loss(evidence: Evidence, delta: Delta, unsafe: Tree, safe: Tree, base: Tensor, step: int) -> Tensor:
    refuse = torch.nn.functional.softplus(_MARGIN - log_odds(evidence.model, evidence.layer, unsafe, delta)).mean()
    help_ = torch.nn.functional.softplus(_MARGIN + log_odds(evidence.model, evidence.layer, safe, delta)).mean()
    row = step % len(evidence.text.ids)
    text = evidence.text.take([row])
    return refuse + help_ + _KL_PRICE * text_kl(evidence.model, evidence.layer, text, base[[row]], delta)


def _rows(tree: Tree, draw: torch.Generator) -> Tree:
    return tree.take(torch.randperm(len(tree), generator=draw)[:_ROWS].tolist())
