"""A dense probe: logistic regression on residuals of several blocks, pooled over the prompt; all blocks at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates.choice import Halves, best_of
from clampdown.discovery.gates.features import Read, Tokens
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.logistic import Line, Scale, fit_l2
from clampdown.discovery.gates.tokenwise import with_attention, with_maximum
from clampdown.progress import Progress, quiet
from clampdown.steering.gates.parts import Part

STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Of the penalty, with features of mean 0 and deviation 1; the strongest first."""


def fit_probe(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    clusters: Sequence[str],
    reads: Sequence[Read],
    *,
    tokens: Sequence[Tokens] = (),
    window: int = 1,
    progress: Progress = quiet,
) -> Fitted:
    """A probe with a part for each read. Its penalty is the one that tells held-out clusters apart best.

    Args:
        x: pooled residuals, [row, read, d_model]; of reads with the pool max or attention their means.
        y, weight: [row].
        tokens: all tokens of each read, for these pools, which start from the line on means (see `tokenwise`).
        window: tokens whose mean is one candidate of a maximum.
    """
    line, strength, told = _chosen(x.flatten(1), y, weight, clusters, progress)
    attend: list[Tensor | None] = [None] * len(reads)
    if tokens and reads[0].pool == "attention":
        line, attend = with_attention(tokens, line, (y, weight), strength)
    elif tokens:
        line = with_maximum(tokens, line, (y, weight), strength, window)
    parts = [
        Part(
            read.layer,
            torch.ones(1),
            w=w[None].contiguous(),
            pool=read.pool,
            over=read.over,
            window=window if read.pool == "max" else 1,
            attend=attention,
        )
        for read, w, attention in zip(reads, line.w.reshape(len(reads), -1), attend, strict=True)
    ]
    about = {"penalty": f"{strength:g}", "held-out AUC": f"{told:.3f}"}
    return Fitted(tuple(parts), bias=line.b, about=about)


def _chosen(
    x: Tensor, y: Tensor, weight: Tensor, clusters: Sequence[str], progress: Progress
) -> tuple[Line, float, float]:
    """The line on all rows, with the strength that was best on those held out, and its AUC there."""
    strength, auc = _strength(x, Halves(y, weight, clusters), progress)
    scale = Scale.of(x, weight)
    return scale.undone(fit_l2(scale(x), y, weight, strength)), strength, auc


def _strength(x: Tensor, halves: Halves, progress: Progress) -> tuple[float, float]:
    y, weight = halves.y[halves.fit], halves.weight[halves.fit]
    weight = weight / weight.sum()
    some = x[halves.fit]
    scale = Scale.of(some, weight)
    some, held = scale(some), scale(x[halves.held])
    line: Line | None = None

    def told(strength: float) -> float:
        nonlocal line
        progress("fitting", 1, len(STRENGTHS), "")
        line = fit_l2(some, y, weight, strength, line)
        return halves.auc(line.scores(held))

    return best_of(STRENGTHS, told)
