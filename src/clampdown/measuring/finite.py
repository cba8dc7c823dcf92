"""Whether a model's logits are finite: half precision overflows, and what then comes out is no answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from clampdown.errors import ClampdownError

NOT_FINITE = "the model's logits are not finite; try a smaller clamp value, or --dtype float32"
NOT_FINITE_UNSTEERED = "the model's logits are not finite; try --dtype float32"


def not_finite(logits: Tensor) -> list[int]:
    """The rows of logits [row, vocabulary] that hold a NaN or an infinity."""
    finite = torch.isfinite(logits.sum(-1, dtype=torch.float32))  # one pass: either of them stays in the sum
    return [] if finite.all() else (~finite).nonzero().flatten().tolist()


@contextmanager
def finite_logits(hf: nn.Module) -> Iterator[None]:
    """Within, a call of the model whose last logits are not finite raises ClampdownError, whoever makes it."""

    def check(_module: Any, _args: Any, output: Any) -> None:
        if not_finite(output.logits[:, -1]):
            raise ClampdownError(NOT_FINITE)

    handle = hf.register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
