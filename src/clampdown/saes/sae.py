"""A sparse autoencoder of a residual stream: encode, decode, and the slice that a clamp needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.errors import ClampdownError

KINDS = ("relu", "jumprelu", "topk", "batchtopk")
NORMALISATIONS = ("none", "layer_norm")
_TILE = 2048
"""Rows encoded at a time where only a few latents are kept, so tokens x latents is never held whole."""


class Normalised(NamedTuple):
    """An input as the SAE wants it, and how to go back: x = scale * inner + shift."""

    inner: Tensor  # [..., d_model]
    scale: Tensor | float  # [..., 1] or 1.0
    shift: Tensor | float  # [..., 1] or 0.0


@dataclass(frozen=True)
class SAE:
    """A trained sparse autoencoder.

    With u = normalise(x) − b_dec (or without the subtraction), pre = W_enc u + b_enc, and z the activations:

    - relu: z = max(pre, 0)
    - jumprelu: z = pre where pre > threshold, else 0 (thresholds are per latent)
    - batchtopk: the same with one threshold, as it is used after training
    - topk: z = max(pre, 0) where fewer than k other pre-activations of the token exceed it, else 0; so where several
      tie for the k-th place all of them are on, which does not depend on their order or on which latents are asked for

    decode(z) = z W_dec + b_dec, then the normalisation is undone.
    """

    name: str
    kind: str
    layer: int
    w_enc: Tensor  # [n_latents, d_model]
    b_enc: Tensor  # [n_latents]
    w_dec: Tensor  # [n_latents, d_model]
    b_dec: Tensor  # [d_model]
    k: int | None = None
    threshold: Tensor | None = None  # [n_latents]
    maximum: Tensor | None = None  # [n_latents], largest activation on reference text
    normalise: str = "none"
    subtract_decoder_bias: bool = True
    sha256: str = ""
    model: str = ""
    about: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n_latents(self) -> int:
        return self.w_enc.shape[0]

    @property
    def d_model(self) -> int:
        return self.w_enc.shape[1]

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "SAE":
        """A copy on a device and in a dtype; float32 is the one whose arithmetic is tested."""
        from dataclasses import replace

        move = {n: getattr(self, n).to(device, dtype) for n in ("w_enc", "b_enc", "w_dec", "b_dec")}
        for name in ("threshold", "maximum"):
            if (optional := getattr(self, name)) is not None:
                move[name] = optional.to(device, dtype)
        return replace(self, **move)

    def normalised(self, x: Tensor) -> Normalised:
        """The SAE's own input for residuals x [..., d_model]."""
        if self.normalise == "none":
            return Normalised(x, 1.0, 0.0)
        shift = x.mean(-1, keepdim=True)
        scale = (x - shift).std(-1, keepdim=True) + 1e-5
        return Normalised((x - shift) / scale, scale, shift)

    def pre_activations(self, x: Tensor, latents: Tensor | slice = slice(None)) -> Tensor:
        """Pre-activations of `latents` (default: all) for residuals x: [..., n]."""
        inner = self.normalised(x).inner
        if self.subtract_decoder_bias:
            inner = inner - self.b_dec
        return torch.nn.functional.linear(inner, self.w_enc[latents], self.b_enc[latents])

    def encode(self, x: Tensor) -> Tensor:
        """Activations z for residuals x [..., d_model]: [..., n_latents]."""
        pre = self.pre_activations(x)
        if self.kind == "topk":
            assert self.k is not None
            last = pre.topk(self.k, dim=-1).values[..., -1:]
            return torch.where(pre >= last, pre, 0.0).clamp_min(0)
        return self._thresholded(pre, slice(None))

    def encode_latents(self, x: Tensor, latents: Sequence[int]) -> Tensor:
        """Activations of a few latents, [..., len(latents)], without holding all of them.

        Sliced for every kind but topk; topk encodes in tiles only the tokens where a chosen pre-activation is
        positive, and counts how many others exceed it.
        """
        index = torch.as_tensor(list(latents), dtype=torch.long, device=self.w_enc.device)
        pre = self.pre_activations(x, index)
        if self.kind != "topk" or not len(index):
            return self._thresholded(pre, index)
        assert self.k is not None
        flat, flat_pre = x.reshape(-1, self.d_model), pre.reshape(-1, len(index))
        z = torch.zeros_like(flat_pre)
        rows = (flat_pre > 0).any(-1).nonzero().squeeze(-1)
        for tile in rows.split(_TILE) if len(rows) else ():
            everything = self.pre_activations(flat[tile])
            # One product has one rounding: the chosen columns are read from it, not from the sliced product.
            chosen = everything[:, index]
            kept = torch.stack(
                [(everything > chosen[:, i : i + 1]).sum(-1) < self.k for i in range(chosen.shape[1])], dim=-1
            )
            z[tile] = torch.where(kept, chosen.clamp_min(0), 0.0)
        return z.reshape(pre.shape)

    def decode(self, z: Tensor, like: Normalised | None = None) -> Tensor:
        """Reconstruction of the residual from activations z [..., n_latents]: [..., d_model].

        A normalising SAE needs the `Normalised` of the residuals it encoded, to undo it.
        """
        inner = z @ self.w_dec + self.b_dec
        if like is None:
            if self.normalise != "none":
                raise ClampdownError(
                    f"SAE {self.name} normalises each token: decode needs the encoded residual's scale"
                )
            return inner
        return inner * like.scale + like.shift

    def reconstruct(self, x: Tensor) -> Tensor:
        """decode(encode(x)), normalisation undone: [..., d_model]."""
        return self.decode(self.encode(x), self.normalised(x))

    def _thresholded(self, pre: Tensor, latents: Tensor | slice) -> Tensor:
        if self.threshold is None:
            return pre.clamp_min(0)
        return torch.where(pre > self.threshold[latents], pre, 0.0).clamp_min(0)


def _check(sae: SAE) -> None:
    """One clear line for each way in which a file can lie about its SAE."""
    who = f"SAE {sae.name}"
    if sae.kind not in KINDS:
        raise ClampdownError(f"{who}: unknown kind {sae.kind!r}; known kinds are {', '.join(KINDS)}")
    if sae.normalise not in NORMALISATIONS:
        raise ClampdownError(f"{who}: unknown normalisation {sae.normalise!r}; known: {', '.join(NORMALISATIONS)}")
    if sae.w_enc.dim() != 2:
        raise ClampdownError(f"{who}: encoder has shape {tuple(sae.w_enc.shape)}, expected [latents, d_model]")
    n, d = sae.w_enc.shape
    expected = {"b_enc": (n,), "w_dec": (n, d), "b_dec": (d,)}
    expected |= {part: (n,) for part in ("threshold", "maximum") if getattr(sae, part) is not None}
    for part, shape in expected.items():
        if tuple(getattr(sae, part).shape) != shape:
            raise ClampdownError(f"{who}: {part} has shape {tuple(getattr(sae, part).shape)}, expected {shape}")
    if sae.kind == "topk" and not (sae.k and 0 < sae.k <= n):
        raise ClampdownError(f"{who}: a topk SAE needs k between 1 and {n}, got {sae.k}")
    if (sae.kind in ("jumprelu", "batchtopk")) != (sae.threshold is not None):
        raise ClampdownError(f"{who}: jumprelu and batchtopk SAEs need thresholds, and only they have any")
    if sae.layer < 0:
        raise ClampdownError(f"{who}: layer must not be negative, got {sae.layer}")
