"""An SAE's large products in pieces: weights become float32 a tile at a time, tokens × latents is never held whole."""

import torch
from jaxtyping import Float
from torch import Tensor

from clampdown.saes.scaled import Scaled

_WEIGHTS = 1 << 19
"""Numbers made float32 at a time: few enough to stay in a cache, many enough that the calls cost little."""
_ACTIVATIONS = 1 << 24
"""Activations held at a time: 64 MiB of float32."""


def tokens_at_a_time(n_latents: int) -> int:
    """How many tokens to encode at once."""
    return max(1, _ACTIVATIONS // max(1, n_latents))


def product(
    x: Float[Tensor, "*rows d"], weight: Float[Tensor, "n d"], bias: Float[Tensor, " n"] | None = None
) -> Float[Tensor, "*rows n"]:
    """x Wᵀ + b in float32, for x [..., d] and weights [n, d] stored in any floating dtype: [..., n]."""
    bias = None if bias is None else bias.float()
    if isinstance(weight, Scaled):
        out = product(x, weight.stored) * weight.by
        return out if bias is None else out + bias
    if weight.dtype == torch.float32:
        return torch.nn.functional.linear(x, weight, bias)
    out = _as_stored(x.reshape(-1, x.shape[-1]), weight) if x.is_cuda else None
    if out is None:
        out = x.new_empty(*x.shape[:-1], len(weight))
        for rows in _tiles(weight):
            out[..., rows] = x @ weight[rows].float().T
    out = out.reshape(*x.shape[:-1], len(weight))
    return out if bias is None else out + bias


def weighted_rows(z: Float[Tensor, "*rows n"], weight: Float[Tensor, "n d"]) -> Float[Tensor, "*rows d"]:
    """z W in float32, for z [..., n] and weights [n, d] stored in any floating dtype: [..., d]."""
    if isinstance(weight, Scaled):
        return weighted_rows(z * weight.by, weight.stored)
    if weight.dtype == torch.float32:
        return z @ weight
    out = z.new_zeros(*z.shape[:-1], weight.shape[1])
    for rows in _tiles(weight):
        out += z[..., rows] @ weight[rows].float()
    return out


def row_norms(weight: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """The lengths of a matrix's rows [n, d] in float32: [n]."""
    norms = torch.empty(len(weight), device=weight.device)  # at once: kept pieces would leave holes between tiles
    for rows in _tiles(weight):
        norms[rows] = weight[rows].float().norm(dim=1)
    return norms


def is_finite(weight: Tensor) -> bool:
    """Whether every value is, looked at in tiles."""
    if weight.dim() < 2:
        return bool(torch.isfinite(weight).all())
    return all(bool(torch.isfinite(weight[rows]).all()) for rows in _tiles(weight))


def _tiles(weight: Tensor) -> list[slice]:
    size = max(1, _WEIGHTS // max(1, weight.shape[1]))
    return [slice(at, at + size) for at in range(0, len(weight), size)]


def _as_stored(x: Tensor, weight: Tensor) -> Tensor | None:
    """x Wᵀ on a GPU without a float32 copy of W: the parts of x are products of its own dtype, summed in float32.

    None where this torch can't multiply so.
    """
    parts, unit = in_parts(x, weight.dtype)
    try:
        products = torch.mm(parts.flatten(0, 1), weight.T, out_dtype=torch.float32)
    except (TypeError, RuntimeError):  # before torch 2.8, and on ROCm
        return None
    return products.unflatten(0, (len(parts), -1)).sum(0) * unit


def in_parts(
    x: Float[Tensor, "token d"], dtype: torch.dtype
) -> tuple[Float[Tensor, "3 token d"], Float[Tensor, "token 1"]]:
    """x [token, d] as three parts [3, token, d] in a 16-bit dtype and a unit [token, 1]: x = unit · Σ parts.

    To float32's rounding of the token's largest value; the unit, a power of two, keeps float16 in its range.
    """
    unit = torch.exp2(torch.frexp(x.abs().amax(-1, keepdim=True)).exponent.float())
    left, parts = x / unit, []
    for _ in range(3):
        parts.append(left.to(dtype))
        left = left - parts[-1].float()
    return torch.stack(parts), unit
