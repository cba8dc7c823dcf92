"""Gates that read an SAE's latents: a few whose activations are added up, or a sparse probe on all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates.choice import Halves, best_of
from clampdown.discovery.gates.features import Read
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.logistic import Line, Scale, fit_l1, fit_l2, l1_limit
from clampdown.errors import ClampdownError
from clampdown.measuring.statistics.ranking import weighted_auc
from clampdown.saes.sae import SAE
from clampdown.steering.gates.parts import Part

_SHARES = (0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)
"""Of the penalty at which no latent is left."""
_SCREENED = 512
_OFTEN = 0.01
"""The share of prompts, by weight, on which a latent must be on."""


def best_latents(
    z: Tensor, y: Tensor, weight: Tensor, clusters: Sequence[str], sae: SAE, read: Read, most: int
) -> Fitted:
    """A threshold on a few latents: their activations, each over its deviation, added up.

    They are chosen one by one, each the one that lifts the sum's AUC most on rows that did not rank them, until none
    does. Latents that safe prompts have more of are subtracted.

    Args:
        z: pooled activations, [row, n_latents].
        most: how many at most.
    """
    halves = Halves(y, weight, clusters)
    scale = Scale.of(z, weight)
    names = _screened(z[halves.fit], y[halves.fit], weight[halves.fit])
    if not names:
        raise ClampdownError(f"no latent of SAE {sae.name} is on for enough of the prompts; name another --sae")
    held = z[halves.held][:, list(names)] / scale.deviation[list(names)]
    signs = torch.tensor(list(names.values()))
    chosen: list[int] = []

    def told(place: int) -> float:
        some = [*chosen, place]
        return halves.auc(held[:, some] @ signs[some])

    reached = 0.0
    while len(chosen) < min(most, len(names)):
        place, auc = best_of([place for place in range(len(names)) if place not in chosen], told)
        if chosen and auc < reached + 1e-3:
            break
        chosen, reached = [*chosen, place], auc
    latents = [list(names)[place] for place in chosen]
    head = signs[chosen] / scale.deviation[latents]
    about = {"latents": ", ".join(map(str, latents)), "held-out AUC": f"{reached:.3f}"}
    return Fitted(_parts(sae, read, latents, head), about=about)


def sparse_probe(
    z: Tensor, y: Tensor, weight: Tensor, clusters: Sequence[str], sae: SAE, read: Read, most: int
) -> Fitted:
    """Logistic regression on pooled activations z [row, n_latents] with a penalty on |w|, at most `most` latents left.

    The penalty is the one that tells held-out clusters apart best; the latents that it leaves are fitted again with a
    light square penalty, for the other one pulls their weights towards 0.
    """
    halves = Halves(y, weight, clusters)
    own = weight[halves.fit] / weight[halves.fit].sum()
    alive = (Scale.of(z, weight).deviation > 1e-6) & (weight @ (z > 0).float() >= _OFTEN * weight.sum())
    kept = alive.nonzero().squeeze(-1)
    if not len(kept):
        raise ClampdownError(f"no latent of SAE {sae.name} is on for enough of the prompts; name another --sae")
    some = z[halves.fit][:, kept]
    scale = Scale.of(some, own)
    x, held = scale(some), scale(z[halves.held][:, kept])
    limit, line, left = l1_limit(x, y[halves.fit], own), None, {}
    for share in _SHARES:
        line = fit_l1(x, y[halves.fit], own, share * limit, line)
        names = line.w.nonzero().squeeze(-1)
        if len(names) > most:
            break
        if len(names):
            left[share] = names
    if not left:  # even the strongest penalty leaves too many: the largest of them
        assert line is not None
        left[_SHARES[0]] = line.w.abs().topk(min(most, len(kept))).indices

    def told(share: float) -> float:
        names = left[share]
        return halves.auc(_light(x[:, names], y[halves.fit], own).scores(held[:, names]))

    share, auc = best_of(list(left), told)
    latents = kept[left[share]].tolist()
    of_all = Scale.of(z[:, latents], weight)
    final = of_all.undone(_light(of_all(z[:, latents]), y, weight))
    about = {"latents": str(len(latents)), "held-out AUC": f"{auc:.3f}"}
    return Fitted(_parts(sae, read, latents, final.w), bias=final.b, about=about)


def _light(x: Tensor, y: Tensor, weight: Tensor) -> Line:
    return fit_l2(x, y, weight, 1e-2)


def _screened(z: Tensor, y: Tensor, weight: Tensor) -> dict[int, float]:
    """Latents that tell the rows apart best by themselves, each with 1 or −1: which rows have more of it."""
    often = weight @ (z > 0).float() / weight.sum() >= _OFTEN
    of_unsafe, of_safe = (weight * side / (weight * side).sum() for side in (y, 1 - y))
    first, second = of_unsafe @ z, of_safe @ z
    spread = (of_unsafe @ (z - first).square() + of_safe @ (z - second).square()).sqrt()
    apart = torch.where(often, (first - second).abs() / (spread + 1e-6), -1.0)
    unsafe = y.bool()
    found: dict[int, float] = {}
    for latent in apart.argsort(descending=True)[:_SCREENED].tolist():
        if apart[latent] >= 0:
            auc = weighted_auc(z[unsafe, latent], z[~unsafe, latent], weight[unsafe], weight[~unsafe])
            found[latent] = 1.0 if auc >= 0.5 else -1.0
    return found


def _parts(sae: SAE, read: Read, latents: Sequence[int], head: Tensor) -> tuple[Part, ...]:
    """One part, or with a maximum one for each latent: each is then taken where it is largest."""
    groups = [[place] for place in range(len(latents))] if read.pool == "max" else [list(range(len(latents)))]
    return tuple(
        Part(
            read.layer,
            head[group].float(),
            "sae",
            pool=read.pool,
            over=read.over,
            sae=sae.name,
            sae_sha256=str(sae.sha256),
            latents=tuple(int(latents[place]) for place in group),
        )
        for group in groups
    )
