"""A dense probe with a hidden layer: small networks side by side, whose mean score is one gate's with all their units.

Each member is head · max(W x + b, 0) + bias over the same pooled residuals as the linear probe. Members begin
differently and drop units by themselves; batches, and the inputs that are dropped from them, are the same for all.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, dropout

from clampdown.discovery.gates.choice import Halves, best_of
from clampdown.discovery.gates.features import Read
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.logistic import Scale
from clampdown.progress import Progress, quiet
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part

EPOCHS = (12, 6, 20)
"""Which of them is chosen by held-out clusters; of several alike the first."""
_MEMBER = 64
"""Units of a member, at most."""
_INPUTS_DROPPED, _UNITS_DROPPED = 0.4, 0.5
_RATE, _DECAY = 1e-3, 0.1
_LENGTH = 16.0
"""Of a usual row: features of mean 0 and deviation 1 are scaled by this over the root of their number."""
_BATCH, _LEAST_BATCH, _BATCHES = 256, 16, 32
"""Rows of a batch; of few rows fewer, so that an epoch has some steps."""


class Layer(NamedTuple):
    """head · max(W x + b, 0) + bias."""

    w: Tensor  # [unit, feature]
    b: Tensor  # [unit]
    head: Tensor  # [unit]
    bias: float

    def scores(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.w.T + self.b) @ self.head + self.bias


def fit_hidden_probe(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    clusters: Sequence[str],
    reads: Sequence[Read],
    *,
    units: int,
    seed: int,
    progress: Progress = quiet,
) -> Fitted:
    """A hidden layer with a part for each read. For how long it is fitted is what tells held-out clusters apart best.

    Args:
        x: pooled residuals, [row, read, d_model], of pools that are linear.
        y, weight: [row].
        units: of the layer.
        seed: of what it begins with, of batches and of what is dropped.
    """
    flat = x.flatten(1)
    epochs, told = _epochs(flat, Halves(y, weight, clusters), units, seed, progress)
    scale = Scale.of(flat, weight)
    progress("fitting on all", 0, epochs, "")

    def tell() -> None:
        progress("fitting on all", 1, epochs, "")

    layer = _undone(scale, fit_layer(_scaled(scale, flat), y, weight, units, epochs, seed, tell))
    parts = [
        Part(read.layer, features="hidden", w=w.contiguous(), pool=read.pool, over=read.over)
        for read, w in zip(reads, layer.w.split(x.shape[2], dim=1), strict=True)
    ]
    about = {"hidden units": str(units), "epochs": str(epochs), "held-out AUC": f"{told:.3f}"}
    return Fitted(tuple(parts), bias=layer.bias, hidden=Hidden(layer.b, layer.head), about=about)


def fit_layer(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    units: int,
    epochs: int,
    seed: int,
    tell: Callable[[], None] = lambda: None,
) -> Layer:
    """By AdamW with one cycle of rates. x: [row, feature], about `_LENGTH` long; y: [row] of 0 and 1; weight: [row].

    tell: called after each epoch.
    """
    weight = weight / weight.mean()
    size = min(_BATCH, max(_LEAST_BATCH, len(x) // _BATCHES))
    batches = -(-len(x) // size)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        members = _Members(x.shape[1], units)
        search = torch.optim.AdamW(members.parameters(), lr=_RATE, weight_decay=_DECAY)
        pace = torch.optim.lr_scheduler.OneCycleLR(search, _RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).chunk(batches):
                scores = members(_dropped(x[rows], _INPUTS_DROPPED))
                each = y[rows, None].expand_as(scores)
                losses = binary_cross_entropy_with_logits(scores, each, reduction="none")
                search.zero_grad()
                (weight[rows] @ losses).sum().div(len(rows)).backward()
                search.step()
                pace.step()
            tell()
    return members.together()


class _Members(torch.nn.Module):
    """Small networks side by side: [row, feature] to [row, member]."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        count = -(-units // _MEMBER)
        own = [len(some) for some in torch.arange(units).tensor_split(count)]
        member = torch.arange(count).repeat_interleave(torch.tensor(own))
        self.member = torch.nn.functional.one_hot(member, count).float()  # [unit, member]
        reach = torch.tensor(own)[member] ** -0.5

        def drawn(*shape: int) -> Tensor:
            return torch.rand(*shape) * 2 - 1

        self.w = torch.nn.Parameter(drawn(units, features) / features**0.5)
        self.b = torch.nn.Parameter(drawn(units) / features**0.5)
        self.head = torch.nn.Parameter(drawn(units) * reach)
        self.bias = torch.nn.Parameter(torch.zeros(count))

    def forward(self, x: Tensor) -> Tensor:
        on = dropout(torch.relu(x @ self.w.T + self.b), _UNITS_DROPPED)
        return (on * self.head) @ self.member + self.bias

    def together(self) -> Layer:
        """The layer whose score is the mean of theirs."""
        head = self.head.detach() / self.member.shape[1]
        return Layer(self.w.detach(), self.b.detach(), head, float(self.bias.detach().mean()))


def _dropped(x: Tensor, share: float) -> Tensor:
    """What torch's dropout gives, whose draws would take most of the fit's time."""
    return x * (torch.rand(x.shape) >= share) / (1 - share)


def _epochs(x: Tensor, halves: Halves, units: int, seed: int, progress: Progress) -> tuple[int, float]:
    y, weight = halves.y[halves.fit], halves.weight[halves.fit]
    some = x[halves.fit]
    scale = Scale.of(some, weight)
    progress("fitting", 0, sum(EPOCHS), "")
    some, held = _scaled(scale, some), _scaled(scale, x[halves.held])

    def tell() -> None:
        progress("fitting", 1, sum(EPOCHS), "")

    return best_of(EPOCHS, lambda n: halves.auc(fit_layer(some, y, weight, units, n, seed, tell).scores(held)))


def _scaled(scale: Scale, x: Tensor) -> Tensor:
    return scale(x).mul_(_LENGTH / x.shape[1] ** 0.5)


def _undone(scale: Scale, layer: Layer) -> Layer:
    """The layer that gives the same scores of features as they were."""
    w = layer.w.double() * (_LENGTH / layer.w.shape[1] ** 0.5) / scale.deviation.double()
    return Layer(w.float(), (layer.b.double() - w @ scale.mean.double()).float(), layer.head, layer.bias)
