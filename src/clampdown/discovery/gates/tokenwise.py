"""Pools that depend on what is fitted: the window that scores highest, and weights of attention.

Both are fitted as a mean of the tokens' (or windows') scores by a softmax. Attention's is of a product of its own; a
maximum's is of the scores themselves over a temperature that falls, so that safe prompts are judged by their worst
window as unsafe ones are: a maximum over a line fitted on means opens on long harmless texts.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from clampdown.discovery.gates.features import Tokens
from clampdown.discovery.gates.logistic import Line, fit_l2, minimised

_CHUNK = 1 << 14
"""Tokens whose residuals are float32 at a time."""
_STEPS = 60
_TEMPERATURES = (1.0, 0.3, 0.1)
"""Of a maximum, in the scores of the line."""

Labelled = tuple[Tensor, Tensor]
"""y and weight of each prompt."""


def with_attention(
    tokens: Sequence[Tokens], line: Line, rows: Labelled, strength: float
) -> tuple[Line, list[Tensor | None]]:
    """The line and, for each read, what its tokens' weights are made of: attend [d_model], fitted together.

    Starts from `line` on means, which is attention that looks at nothing. Both are penalised.
    """
    reads = len(tokens)
    scales = [_deviation(own) for own in tokens]

    def pooled(beta: Tensor) -> Tensor:
        total = torch.zeros(())
        for own, scale, w, attend in zip(tokens, scales, beta[:reads], beta[reads:], strict=True):
            score, logit = _products(own, torch.stack([w / scale, attend / scale], 1)).unbind(1)
            total = total + _weighted(score, logit, own.rows, len(own.counts))
        return total

    start = torch.cat([_split(line.w, reads) * torch.stack(scales), torch.zeros(reads, tokens[0].x.shape[-1])])
    beta, b = _fitted(pooled, start, line.b, rows, strength)
    attend: list[Tensor | None] = [own / scale for own, scale in zip(beta[reads:], scales, strict=True)]
    return Line((beta[:reads] / torch.stack(scales)).flatten(), b), attend


def with_maximum(tokens: Sequence[Tokens], line: Line, rows: Labelled, strength: float, window: int) -> Line:
    """The line for which each prompt is scored by its highest mean of `window` tokens in a row."""
    scales = torch.stack([_deviation(own) for own in tokens])
    windows = [Windows(own.counts, window) for own in tokens]
    beta, b = _split(line.w, len(tokens)) * scales, line.b
    for temperature in _TEMPERATURES:

        def pooled(beta: Tensor, temperature: float = temperature) -> Tensor:
            total = torch.zeros(())
            for own, w, scale, some in zip(tokens, beta, scales, windows, strict=True):
                means = some.means(_products(own, (w / scale)[:, None])[:, 0])
                total = total + _weighted(means, means / temperature, some.rows, len(own.counts))
            return total

        beta, b = _fitted(pooled, beta, b, rows, strength)
    line = Line((beta / scales).flatten(), b)
    highest = torch.zeros(len(rows[0]))
    for own, w, some in zip(tokens, _split(line.w, len(tokens)), windows, strict=True):
        highest += some.highest(some.means(_products(own, w[:, None])[:, 0]), len(own.counts))
    level = fit_l2(highest[:, None], *rows, 1e-6)  # the maximum itself is a little more than the soft one
    size = max(float(level.w[0]), 1e-3)
    return Line(line.w * size, level.b)


class Windows:
    """The stretches of `length` tokens of each prompt; of a prompt with fewer all of it, as in `gates.pooling`.

    Attributes:
        rows: the prompt of each.
    """

    def __init__(self, counts: Tensor, length: int) -> None:
        each = (counts - length + 1).clamp_min(1)
        self.rows = torch.arange(len(counts)).repeat_interleave(each)
        begin = counts.cumsum(0) - counts
        within = torch.arange(int(each.sum())) - (each.cumsum(0) - each)[self.rows]
        self.start = begin[self.rows] + within
        self.size = counts.clamp_max(length)[self.rows]

    def means(self, scores: Tensor) -> Tensor:
        """Of the tokens' scores, for each stretch."""
        total = torch.cat([scores.new_zeros(1), scores]).double().cumsum(0)
        return ((total[self.start + self.size] - total[self.start]) / self.size).float()

    def highest(self, means: Tensor, count: int) -> Tensor:
        """Of each of `count` prompts."""
        return torch.full((count,), -torch.inf).scatter_reduce(0, self.rows, means, "amax")


def _fitted(
    pooled: Callable[[Tensor], Tensor], start: Tensor, b: float, rows: Labelled, strength: float
) -> tuple[Tensor, float]:
    """The weights, of the shape of `start`, whose pooled scores tell the rows apart best."""
    y, weight = rows

    def loss(beta: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            held = beta.detach().requires_grad_()
            score = pooled(held[:-1].reshape(start.shape)) + held[-1]
            losses = torch.nn.functional.binary_cross_entropy_with_logits(score, y, reduction="none")
            value = (weight * losses).sum() + strength * held[:-1].square().sum() / 2
            (slope,) = torch.autograd.grad(value, held)
        return value.detach(), slope

    beta = minimised(loss, torch.cat([start.flatten(), torch.tensor([b])]), _STEPS)
    return beta[:-1].reshape(start.shape), float(beta[-1])


def _weighted(score: Tensor, logit: Tensor, rows: Tensor, count: int) -> Tensor:
    """The mean of each prompt's scores by the softmax of its logits: [prompt]."""
    highest = torch.full((count,), -torch.inf).scatter_reduce(0, rows, logit.detach(), "amax")
    share = (logit - highest[rows]).exp()
    total = torch.zeros(count).index_add(0, rows, share)
    return torch.zeros(count).index_add(0, rows, share * score) / total


def _products(tokens: Tokens, w: Tensor) -> Tensor:
    return torch.cat([_Product.apply(part, w) for part in tokens.x.split(_CHUNK)])


class _Product(torch.autograd.Function):
    """x W, where x is made float32 for the product and again for its gradient, and never kept so."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.float() @ w

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[None, Tensor]:
        (x,) = ctx.saved_tensors
        return None, x.float().T @ slope


def _split(w: Tensor, reads: int) -> Tensor:
    return w.reshape(reads, -1)


def _deviation(tokens: Tokens) -> Tensor:
    total, squares = torch.zeros(2, tokens.x.shape[-1], dtype=torch.float64)
    for part in tokens.x.split(_CHUNK):
        total += part.double().sum(0)
        squares += part.double().square().sum(0)
    mean = total / len(tokens.x)
    return (squares / len(tokens.x) - mean.square()).clamp_min(1e-12).sqrt().float()
