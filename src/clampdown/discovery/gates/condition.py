"""CAST's condition vector: does the residual point along what unsafe and safe prompts differ in most?

Lee et al. 2024, arXiv 2409.05907: with h the mean residuals of unsafe and of safe prompts at a block, less the midpoint
of the two means, c is their first principal component; the score is the cosine of the residual and its projection on c,
and block and side (more or less) are those of a grid that tell prompts apart best.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates.features import Read
from clampdown.discovery.gates.fitted import Fitted
from clampdown.steering.gates.parts import Part


def condition_vectors(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """c for each block: [read, d_model] of pooled residuals x [row, read, d_model]."""
    unsafe = y.bool()
    found = []
    for own in x.unbind(1):
        means = [(weight[side] / weight[side].sum()) @ own[side] for side in (unsafe, ~unsafe)]
        centred = (own - (means[0] + means[1]) / 2) * weight.sqrt()[:, None]
        found.append(torch.linalg.eigh((centred.T @ centred).double()).eigenvectors[:, -1].float())
    return torch.stack(found)


def conditions(reads: Sequence[Read], vectors: Tensor) -> list[Fitted]:
    """A gate for each block, which opens where the cosine is large."""
    return [Fitted((condition(read, vector),)) for read, vector in zip(reads, vectors, strict=True)]


def condition(read: Read, vector: Tensor, side: float = 1.0) -> Part:
    """The part of one block; side −1 opens where the cosine is small."""
    return Part(read.layer, torch.tensor([side]), "cosine", w=vector[None].contiguous(), pool=read.pool, over=read.over)
