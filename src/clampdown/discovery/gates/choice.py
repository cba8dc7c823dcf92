"""How strongly to penalise: what tells held-out clusters apart best."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from clampdown.measuring.statistics.ranking import weighted_auc

T = TypeVar("T")


class Halves:
    """Rows to fit on, and every fifth cluster of them to choose by, each with its share of both labels.

    Attributes:
        fit, held: places.
    """

    def __init__(self, y: Tensor, weight: Tensor, clusters: Sequence[str]) -> None:
        self.y, self.weight = y, weight
        order = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
        held = torch.tensor([order[cluster] % 5 == 4 for cluster in clusters])
        if not _both(y[held]) or not _both(y[~held]):  # too few to choose by: by what was fitted on, then
            held = torch.ones_like(held)
            self.fit = self.held = torch.arange(len(y))
            return
        self.fit, self.held = (~held).nonzero().squeeze(-1), held.nonzero().squeeze(-1)

    def auc(self, scores: Tensor) -> float:
        """Of the held-out rows' scores [held], by the rows' weights."""
        y, weight = self.y[self.held].bool(), self.weight[self.held]
        return weighted_auc(scores[y], scores[~y], weight[y], weight[~y])


def best_of(options: Sequence[T], told: Callable[[T], float]) -> tuple[T, float]:
    """The option that is told best of; the first of several."""
    found = [(told(option), -number) for number, option in enumerate(options)]
    value, place = max(found)
    return options[-place], value


def _both(y: Tensor) -> bool:
    return bool(y.numel()) and 0 < float(y.mean()) < 1
