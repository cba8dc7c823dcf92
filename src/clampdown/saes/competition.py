"""Which of a few latents stay on under a per-token topk: a count of those that exceed them, never a sort of all."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from clampdown.saes.tiles import product, tokens_at_a_time

_FIRST = 1 / 32
"""The share of latents looked at first: most tokens are settled there, for a latent is seldom among the k largest."""
_GROUP = 64


class Crowd(NamedTuple):
    """The encoder of a topk SAE: the latents that a few have to compete with."""

    w_enc: Float[Tensor, "n_latents d_model"]  # in any floating dtype
    b_enc: Float[Tensor, " n_latents"]
    k: int

    def winners(
        self, x: Float[Tensor, "token d_model"], z: Float[Tensor, "token chosen"], index: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "token chosen"]:
        """What is left of `z` [token, chosen] where only the k largest pre-activations of a token stay on.

        `x` [token, d_model] are the encoder's inputs, z = max(pre, 0) of the latents in `index`. All pre-activations
        are computed only on tokens where one of those is positive and may be on; tokens × latents is never held whole.
        """
        left = torch.zeros_like(z)
        rows = (z > 0).any(-1).nonzero().squeeze(-1)
        for tile in rows.split(tokens_at_a_time(len(self.w_enc))) if len(rows) else ():
            tile = tile[self._may_be_on(x[tile], z[tile])]
            if not len(tile):
                continue
            everything = product(x[tile], self.w_enc, self.b_enc)
            # One product has one rounding: the chosen columns are read from it, not from the sliced product.
            chosen = everything[:, index]
            left[tile] = torch.where(_among_largest(everything, chosen, self.k), chosen.clamp_min(0), 0.0)
        return left

    def _may_be_on(self, x: Tensor, z: Tensor) -> Tensor:
        """Whether a token's largest chosen latent may be on: [token].

        It is not where k of the first latents exceed it, and by more than rounding, since this is another product.
        """
        first = int(len(self.w_enc) * _FIRST)
        if first < 4 * self.k:
            return torch.ones(len(x), dtype=torch.bool, device=x.device)
        some = product(x, self.w_enc[:first], self.b_enc[:first])
        bar = z.amax(-1, keepdim=True) + 1e-4 * some.abs().amax(-1, keepdim=True)
        return (some > bar).sum(-1) < self.k


def _among_largest(everything: Tensor, chosen: Tensor, k: int) -> Tensor:
    """Where fewer than k of everything [token, n] exceed a chosen value [token, chosen].

    Only the k groups with the largest maxima are counted: whatever exceeds a value outside them, each of them does too.
    """
    if short := -everything.shape[1] % _GROUP:
        everything = torch.nn.functional.pad(everything, (0, short), value=-torch.inf)
    groups = everything.unflatten(-1, (-1, _GROUP))
    best = groups.amax(-1).topk(min(k, groups.shape[1]), dim=-1).indices
    near = groups.gather(1, best[..., None].expand(-1, -1, _GROUP)).flatten(1)
    return torch.stack([(near > chosen[:, i : i + 1]).sum(-1) < k for i in range(chosen.shape[1])], dim=-1)
