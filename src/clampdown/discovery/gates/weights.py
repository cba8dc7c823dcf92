"""What each row counts for: the safe and the unsafe alike, and no kind more than the root of its size."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates.rows import GateRow


def row_weights(rows: Sequence[GateRow]) -> Tensor:
    """A weight for each row, [row]: 1/√n of the n rows of its kind and label, then half the sum for either label.

    Thousands of prompts made by one grammar would else decide alone.
    """
    counts = Counter((row.kind, row.unsafe) for row in rows)
    weight = torch.tensor([counts[row.kind, row.unsafe] ** -0.5 for row in rows], dtype=torch.float64)
    unsafe = labels(rows).bool()
    for side in (unsafe, ~unsafe):
        weight[side] *= 0.5 / weight[side].sum().clamp_min(1e-12)
    return weight.float()


def labels(rows: Sequence[GateRow]) -> Tensor:
    """1 for unsafe and 0 for safe, [row] in float32."""
    return torch.tensor([float(row.unsafe) for row in rows])
