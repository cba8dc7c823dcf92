"""Three ways to name candidate latents: the paper's single prompt, contrasts, and attribution."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.evidence import Evidence
from clampdown.discovery.tree import Tree, log_odds
from clampdown.engine.finite import NOT_FINITE_UNSTEERED
from clampdown.errors import ClampdownError
from clampdown.saes.sae import SAE
from clampdown.saes.tiles import product, tokens_at_a_time


def single_prompt(sae: SAE, refusal: Tensor) -> list[int]:
    """Latents active on at least two tokens of one refusal, most often active first (O'Brien et al., section 3.2).

    `refusal` is the residual on the refusal's tokens: [token, d_model].
    """
    counts, total = torch.zeros(2, sae.n_latents)
    for tile in refusal.split(tokens_at_a_time(sae.n_latents)):
        z = sae.encode(tile).cpu()
        counts += (z > 0).sum(0)
        total += z.sum(0)
    order = torch.argsort(counts * 1e6 + total, descending=True)
    return [int(latent) for latent in order if counts[latent] >= 2]


def contrast(sae: SAE, evidence: Evidence, count: int) -> list[int]:
    """Latents that tell refusing from complying answers, or unsafe from safe requests, or write what refusing is.

    A third from each: the first two ranked by the difference of mean activations over its pooled standard deviation,
    the last by the decoder row's product with the difference in means of the answers' residuals.
    """
    refusing, complying = evidence.unsafe.refusing(), evidence.unsafe.complying()
    by_answer = _difference(_spread(sae, refusing), _spread(sae, complying))
    unsafe, safe = (_prompt_activations(sae, tree) for tree in (evidence.unsafe, evidence.safe))
    by_request = _difference((unsafe.mean(0), unsafe.var(0)), (safe.mean(0), safe.var(0)))
    by_row = product(refusing.mean(0) - complying.mean(0), sae.w_dec)
    return _interleaved((by_answer, by_request, by_row), count)


def attribution(sae: SAE, evidence: Evidence, count: int, maxima: Tensor) -> list[int]:
    """Latents by a first-order estimate of what clamping each to its maximum does to the log-odds of refusing.

    Σ over positions of (c_i − z_i) · (∂m/∂x · d_i), for all latents from one backward pass (docs/design.md).
    """
    tree = evidence.unsafe
    levels = [level._replace(x=level.x.detach().clone().requires_grad_()) for level in tree.levels()]
    with torch.enable_grad():
        odds = log_odds(evidence.model, evidence.layer, Tree(*levels), None)
        if not odds.isfinite().all():
            raise ClampdownError(NOT_FINITE_UNSTEERED)
        odds.sum().backward()
    estimate = torch.zeros(sae.n_latents)
    for level in levels:
        mask = level.editable()
        if not mask.any():  # where prompts can share nothing, the beginning is empty
            continue
        assert level.x.grad is not None
        estimate += _first_order(sae, level.x.detach()[mask].float(), level.x.grad[mask].float(), maxima)
    estimate[maxima <= 0] = -torch.inf  # a latent that never fires has no value to be clamped to
    return [int(i) for i in estimate.topk(min(count, sae.n_latents)).indices if torch.isfinite(estimate[i])]


def _first_order(sae: SAE, x: Tensor, grad: Tensor, maxima: Tensor) -> Tensor:
    total = torch.zeros(sae.n_latents)
    size = tokens_at_a_time(sae.n_latents)
    for tile, slope in zip(x.split(size), grad.split(size), strict=True):
        change = maxima.to(x.device) - sae.encode(tile)
        total += (change * product(slope * sae.normalised(tile).scale, sae.w_dec)).sum(0).cpu()
    return total


def latent_maxima(sae: SAE, evidence: Evidence) -> Tensor:
    """Each latent's largest activation over all the evidence's tokens but sinks: [n_latents]."""
    best = torch.zeros(sae.n_latents)
    for level in evidence.levels():
        best = torch.maximum(best, sae.largest(level.tokens()).cpu())
    return best


def _prompt_activations(sae: SAE, tree: Tree) -> Tensor:
    """Mean activation of each latent over each prompt's own tokens: [prompt, n_latents]."""
    level = tree.prompts
    return torch.stack([_spread(sae, x[m].float())[0] for x, m in zip(level.x, level.editable(), strict=True)])


def _spread(sae: SAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each latent's activation over residuals x [token, d_model]."""
    total, squares = torch.zeros(2, sae.n_latents, dtype=torch.float64)
    for tile in x.split(tokens_at_a_time(sae.n_latents)):
        z = sae.encode(tile)
        total += z.sum(0).cpu()
        squares += z.square().sum(0).cpu()
    mean = total / len(x)
    variance = (squares - len(x) * mean.square()).clamp_min(0) / (len(x) - 1)
    return mean.float(), variance.float()


def _difference(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    """Of means, over the pooled standard deviation."""
    spread = ((a[1] + b[1]) / 2).sqrt()
    return (a[0] - b[0]) / (spread + 0.1 * spread.mean() + 1e-6)


def _interleaved(scores: Sequence[Tensor], count: int) -> list[int]:
    """The best of each list in turn, each latent once, none with a score that is not positive."""
    chosen: dict[int, None] = {}
    for latents in zip(*(score.argsort(descending=True).tolist() for score in scores), strict=True):
        for latent, score in zip(latents, scores, strict=True):
            if len(chosen) < count and score[latent] > 0:
                chosen.setdefault(latent)
    return list(chosen)
