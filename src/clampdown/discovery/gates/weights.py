"""What each row counts for: both labels alike, no kind more than the root of its size, everyday prompts a good deal."""

from collections import Counter
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates.rows import GateRow


def row_weights(rows: Sequence[GateRow], calibrating: Collection[str] = ()) -> Tensor:
    """A weight for each row, [row]: 1/√n of the n rows of its kind and label, then half the sum for either label.

    Thousands of prompts made by one grammar would else decide alone. Of the safe half the calibrating kinds, whose
    prompts set the threshold, weigh half: among thousands of look-alikes the model's everyday work counts for little,
    and a few ordinary prompts with high scores then shut the gate to everything.
    """
    counts = Counter((row.kind, row.unsafe) for row in rows)
    weight = torch.tensor([counts[row.kind, row.unsafe] ** -0.5 for row in rows], dtype=torch.float64)
    unsafe = labels(rows).bool()
    usual = torch.tensor([row.kind in calibrating for row in rows], dtype=torch.bool) & ~unsafe
    other = ~unsafe & ~usual
    both = usual.any() and other.any()
    shares = [(unsafe, 0.5), *([(usual, 0.25), (other, 0.25)] if both else [(~unsafe, 0.5)])]
    for side, share in shares:
        weight[side] *= share / weight[side].sum().clamp_min(1e-12)
    return weight.float()


def labels(rows: Sequence[GateRow]) -> Tensor:
    """1 for unsafe and 0 for safe, [row] in float32."""
    return torch.tensor([float(row.unsafe) for row in rows])
