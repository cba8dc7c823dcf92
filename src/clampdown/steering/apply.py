"""The flat core: what a bank of recipes makes of a table of tokens. It knows no library, no batch and no padding."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from clampdown.steering.bank import Bank, Under


class Applied(NamedTuple):
    """Residuals after their edits, [token, d_model] as the model keeps them, and what was done to each, [token].

    ratio: ‖Δ‖/‖x‖. size: ‖x‖ afterwards in float32; it is not finite where float16, say, overflows, or where its square
    does, because the next block's norm squares it too, and would give zeros without a warning.
    """

    x: Float[Tensor, "token d_model"]
    ratio: Float[Tensor, " token"]
    size: Float[Tensor, " token"]


def apply(
    x: Float[Tensor, "token d_model"],
    bank: Bank,
    recipe: Under,
    weight: Float[Tensor, " token"] | None = None,
    norm: Float[Tensor, " token"] | None = None,
) -> Applied:
    """Edit residuals x [token, d_model] under each token's recipe, by its number in the bank.

    No number is read from the device, however the recipes mix, unless a topk SAE has to find its tokens.

    Args:
        weight: what Δ is multiplied by, [token]; None is 1.
        norm: ‖x‖ [token], where it is known already.
    """
    before = x.float()
    after = bank.edited(before, recipe, None if weight is None else weight[:, None])
    stored = after.to(x.dtype)
    size = torch.linalg.vector_norm(stored, dim=-1, dtype=torch.float32)
    length = before.norm(dim=-1) if norm is None else norm
    return Applied(stored, (after - before).norm(dim=-1) / length.clamp_min(1e-12), size)
