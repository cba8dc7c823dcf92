"""Small networks side by side, fitted by gradient; what they say together is one gate's, with all their units.

Each member is head · max(W x + b, 0) + bias over what is pooled of a prompt. Members begin differently and drop units
by themselves; batches, and the inputs that are dropped from them, are the same for all. Where windows of the prompt are
read too, one more network scores each, and the highest is added to what every member says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, dropout

from clampdown.discovery.gates.features import WindowMeans
from clampdown.discovery.gates.logistic import Scale

_MEMBER = 64
"""Units of a member, at most."""
_INPUTS_DROPPED, _UNITS_DROPPED = 0.4, 0.5
_RATE, _DECAY = 1e-3, 0.1
_LENGTH = 16.0
"""Of a usual row: features of mean 0 and deviation 1 are scaled by this over the root of their number."""
_BATCH, _LEAST_BATCH, _BATCHES = 256, 16, 32
"""Rows of a batch; of few rows fewer, so that an epoch has some steps."""
_TEMPERATURE = 0.5
"""Of the soft maximum over windows while fitting, in scores, so that not one window alone learns."""


class Layer(NamedTuple):
    """head · max(W x + b, 0)."""

    w: Tensor  # [unit, feature]
    b: Tensor  # [unit]
    head: Tensor  # [unit]

    def scores(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.w.T + self.b) @ self.head


class Layers(NamedTuple):
    """pooled.scores + the highest of windows.scores + bias."""

    pooled: Layer
    bias: float
    windows: Layer | None = None

    def scores(self, some: "Inputs") -> Tensor:
        """Of rows as they were scaled: [row]."""
        told = self.pooled.scores(some.x) + self.bias
        if self.windows is None:
            return told
        parts = (self.windows.scores(some.in_windows(rows)[0]) for rows in torch.arange(len(told)).split(_BATCH))
        return told + some.highest(torch.cat(list(parts)))


@dataclass(frozen=True)
class Inputs:
    """What is read of some rows.

    Attributes:
        x: pooled, [row, feature].
        windows: the means of each row's windows, if these are read.
        scale: of the windows' features, which are scaled as they are taken.
    """

    x: Tensor
    windows: WindowMeans | None = None
    scale: Scale | None = None

    def of(self, rows: Tensor) -> "Inputs":
        return Inputs(self.x[rows], None if self.windows is None else self.windows.of(rows), self.scale)

    def scaled(self, scales: tuple[Scale, Scale | None]) -> "Inputs":
        return Inputs(to_length(scales[0], self.x), self.windows, scales[1])

    def scales(self, weight: Tensor) -> tuple[Scale, Scale | None]:
        """Of what is pooled and of the windows, by the weights of the rows."""
        return Scale.of(self.x, weight), None if self.windows is None else self.windows.scale(weight)

    def in_windows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The windows of these rows, scaled, [window, feature], and the place in `rows` of each."""
        assert self.windows is not None and self.scale is not None
        some = self.windows.of(rows)
        return to_length(self.scale, some.x.flatten(1).float()), some.rows

    def highest(self, scores: Tensor) -> Tensor:
        """Of each row's windows."""
        assert self.windows is not None
        return torch.full((len(self.x),), -torch.inf).scatter_reduce(0, self.windows.rows, scores, "amax")


def fit_layers(
    some: Inputs,
    y: Tensor,
    weight: Tensor,
    units: int,
    epochs: int,
    seed: int,
    tell: Callable[[], None] = lambda: None,
) -> Layers:
    """By AdamW with one cycle of rates.

    Args:
        some: rows as they were scaled, each about `_LENGTH` long.
        y, weight: [row], of 0 and 1.
        units: of the layer of what is pooled; that of windows has half as many.
        seed: of what members begin with, of batches and of what is dropped.
        tell: called after each epoch.
    """
    weight, x = weight / weight.mean(), some.x
    size = min(_BATCH, max(_LEAST_BATCH, len(x) // _BATCHES))
    batches = -(-len(x) // size)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        members = _Members(x.shape[1], units)
        wide = 0 if some.windows is None else some.windows.x[0].numel()
        windows = _Members(wide, units_of_windows(units), one=True) if wide else None
        learned = [*members.parameters(), *(windows.parameters() if windows else ())]
        search = torch.optim.AdamW(learned, lr=_RATE, weight_decay=_DECAY)
        pace = torch.optim.lr_scheduler.OneCycleLR(search, _RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).chunk(batches):
                scores = members(_dropped(x[rows], _INPUTS_DROPPED))
                if windows is not None:
                    scores = scores + _soft_maximum(windows, *some.in_windows(rows), len(rows))
                each = y[rows, None].expand_as(scores)
                losses = binary_cross_entropy_with_logits(scores, each, reduction="none")
                search.zero_grad()
                (weight[rows] @ losses).sum().div(len(rows)).backward()
                search.step()
                pace.step()
            tell()
    pooled, bias = members.together()
    if windows is None:
        return Layers(pooled, bias)
    of_windows, more = windows.together()
    return Layers(pooled, bias + more, of_windows)


def units_of_windows(units: int) -> int:
    """Of the layer of windows, beside one of so many units."""
    return max(units // 2, 1)


def to_length(scale: Scale, x: Tensor) -> Tensor:
    """x scaled, of the length that what is fitted expects."""
    return scale(x).mul_(_LENGTH / x.shape[1] ** 0.5)


def undone(scale: Scale, layer: Layer) -> Layer:
    """The layer that gives the same scores of features as they were."""
    w = layer.w.double() * (_LENGTH / layer.w.shape[1] ** 0.5) / scale.deviation.double()
    return Layer(w.float(), (layer.b.double() - w @ scale.mean.double()).float(), layer.head)


class _Members(torch.nn.Module):
    """Small networks side by side, or one: [row, feature] to [row, member]."""

    def __init__(self, features: int, units: int, *, one: bool = False) -> None:
        super().__init__()
        count = 1 if one else -(-units // _MEMBER)
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

    def together(self) -> tuple[Layer, float]:
        """The layer and bias whose score is the mean of theirs."""
        head = self.head.detach() / self.member.shape[1]
        return Layer(self.w.detach(), self.b.detach(), head), float(self.bias.detach().mean())


def _soft_maximum(network: _Members, x: Tensor, rows: Tensor, count: int) -> Tensor:
    """The mean of each row's windows by the softmax of their scores over a temperature: [row, 1]."""
    scores = network(_dropped(x, _INPUTS_DROPPED))[:, 0]
    highest = torch.full((count,), -torch.inf).scatter_reduce(0, rows, scores.detach(), "amax")
    share = ((scores - highest[rows]) / _TEMPERATURE).exp()
    total = torch.zeros(count).index_add(0, rows, share)
    return (torch.zeros(count).index_add(0, rows, share * scores) / total)[:, None]


def _dropped(x: Tensor, share: float) -> Tensor:
    """What torch's dropout gives, whose draws would take most of the fit's time."""
    return x * (torch.rand(x.shape) >= share) / (1 - share)
