"""From the scores of a prompt's tokens to one number."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.overflow import or_nan
from clampdown.steering.gates.parts import Part


def pooled(part: Part, told: Tensor, count: Tensor) -> Tensor:
    """A part's share of each row's score: [row].

    Args:
        told: scores of the tokens that are read, [row, token, 1], and beside them the logits of attention where the
            part has any, [row, token, 2].
        count: how many of a row's tokens are read, at least one; what is beyond counts for nothing. [row]
    """
    scores, real = told[..., 0], torch.arange(told.shape[1], device=told.device) < count[:, None]
    if part.pool == "attention":
        weight = told[..., 1].masked_fill(~real, -torch.inf).softmax(-1)
        return (weight * scores.masked_fill(~real, 0.0)).sum(-1)
    if part.pool == "max" and part.window < told.shape[1]:
        n = part.window
        means = or_nan(scores).unfold(1, n, 1).mean(-1)
        whole = torch.arange(means.shape[1], device=told.device) <= (count - n)[:, None]
        best = means.masked_fill(~whole, -torch.inf).amax(-1)
        return torch.where(count < n, _mean(scores, real, count), best)
    return _mean(scores, real, count)  # of fewer tokens than a window there is one window


def fed(early: Tensor | None, late: Tensor, before: Sequence[Sequence[int]], count: Tensor) -> Tensor:
    """What a part gives the hidden layer for each row: [row, unit].

    Args:
        early: what each token of the beginning gives that all rows share, [token, unit].
        late: what a row's later tokens give together, [row, unit].
        before: which tokens of the beginning each row reads.
        count: how many tokens a row reads in all, [row].
    """
    if early is not None and any(before):
        late = late + torch.stack([early[list(places)].sum(0) for places in before])
    return late / count[:, None]


def highest_window(layer: Hidden, given: Tensor, count: Tensor, length: int) -> Tensor:
    """What the layer of windows adds to each row's score: [row].

    Windows of `length` tokens begin at every half of one, and one more ends with the last token; of fewer tokens than
    a window there is one, of all of them.

    Args:
        given: what the parts give it for each token that is read, [row, token, unit].
        count: as in `pooled`.
    """
    best = []
    for row, n in zip(given, count.tolist(), strict=True):
        starts = window_starts(n, length)
        windows = torch.stack([row[start : min(start + length, n)].mean(0) for start in starts])
        best.append(layer.score(windows).amax())
    return torch.stack(best)


def window_starts(count: int, length: int) -> list[int]:
    """Where the windows of so many tokens begin, from 0."""
    last = max(count - length, 0)
    return sorted({*range(0, last + 1, max(length // 2, 1)), last})


def _mean(scores: Tensor, real: Tensor, count: Tensor) -> Tensor:
    return scores.masked_fill(~real, 0.0).sum(-1) / count
