"""A gate's hidden layers: what parts give one is summed up, cut at zero, and added to the score through a head.

One is fed by what is pooled over a prompt. Another may be fed by windows of it: each is scored by itself, and the
highest counts, so that a request in the midst of much else is seen as one that stands alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.steering.gates.overflow import or_nan


@dataclass(frozen=True, eq=False)
class Hidden:
    """head · max(b + Σ, 0), where Σ is what the parts with "hidden" features give, [unit].

    Attributes:
        b, head: [unit].

    Raises:
        ClampdownError: they differ in length, or are not finite float32.
    """

    b: Tensor
    head: Tensor

    def __post_init__(self) -> None:
        if self.b.dim() != 1 or not len(self.b) or self.b.shape != self.head.shape:
            raise ClampdownError("a hidden layer's b and head must be [unit], of one unit at least")
        if not all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in (self.b, self.head)):
            raise ClampdownError("a hidden layer's b and head must be finite float32")

    def __str__(self) -> str:
        return f"{len(self.head)} unit{'s' * (len(self.head) > 1)}"

    def score(self, given: Tensor) -> Tensor:
        """What the layer gives for all that its parts give it: [..., unit] to [...]."""
        return or_nan(given + self.b.to(given)).clamp_min(0) @ self.head.to(given)
