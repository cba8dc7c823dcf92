"""A sparse autoencoder of a residual stream: encode, decode, and the slice that a clamp needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.competition import Crowd
from clampdown.saes.tiles import is_finite, product, tokens_at_a_time, weighted_rows

KINDS = ("relu", "jumprelu", "topk", "batchtopk", "gated")
NORMALISATIONS = ("none", "layer_norm", "constant_norm")

_PER_LATENT = ("w_enc", "b_enc", "w_dec", "threshold", "maximum", "gate_bias", "magnitude_scale")
_ENCODER = ("w_enc", "b_enc", "b_dec", "threshold", "gate_bias", "magnitude_scale")
_DECODER = ("w_dec", "b_dec")
_PARTS = (*_PER_LATENT, "b_dec")


class Normalised(NamedTuple):
    """An input as the SAE wants it, and how to go back: x = scale * inner + shift."""

    inner: Float[Tensor, "*rows d_model"]
    scale: Float[Tensor, "*rows 1"] | float
    shift: Float[Tensor, "*rows 1"] | float


class _Lazy:
    """A field that holds a text, or a function that finds it, called when somebody first asks."""

    def __get__(self, sae: Any, _owner: type | None = None) -> str:
        if sae is None:
            return ""  # the field's default
        held = sae.__dict__["_sha256"]
        if callable(held):
            held = sae.__dict__["_sha256"] = held()
        return held

    def __set__(self, sae: Any, value: "str | Callable[[], str]") -> None:
        sae.__dict__["_sha256"] = value


@dataclass(frozen=True, repr=False)
class SAE:
    """A trained sparse autoencoder.

    With u = normalise(x) − b_dec (or without the subtraction), pre = W_enc u + b_enc, and z the activations:

    - relu: z = max(pre, 0)
    - jumprelu: z = pre where pre > threshold, else 0 (thresholds are per latent)
    - batchtopk: the same with one threshold, as it is used after training
    - topk: z = max(pre, 0) where fewer than k other pre-activations of the token exceed it, else 0; so where several
      tie for the k-th place all of them are on, which does not depend on their order or on which latents are asked for
    - gated: z = max(magnitude_scale · W_enc u + b_enc, 0) where W_enc u + gate_bias > 0, else 0

    decode(z) = z W_dec + b_dec, then the normalisation is undone.

    Weights may be float16, bfloat16 or float32, and mapped from a file; where their rows need a factor first, it is
    applied when they are read. The arithmetic is done in float32, large matrices a tile at a time. What is used is
    checked to be finite once, before its first use.
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
    sha256: _Lazy = _Lazy()  # given as a text, or as a function that finds it
    model: str = ""
    about: dict[str, str] = field(default_factory=dict)
    gate_bias: Tensor | None = None  # [n_latents], gated only
    magnitude_scale: Tensor | None = None  # [n_latents], gated only; the exponential already taken
    _known: dict[Any, Any] = field(default_factory=dict, init=False, compare=False)  # what need not be found twice

    def __post_init__(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        return f"SAE({self.name!r}, {self.kind}, layer {self.layer}, {self.n_latents} × {self.d_model})"

    @property
    def n_latents(self) -> int:
        return self.w_enc.shape[0]

    @property
    def d_model(self) -> int:
        return self.w_enc.shape[1]

    def noting(self, **facts: str) -> "SAE":
        """The same SAE with more in `about`."""
        return self._with(about=self.about | facts)

    def without_notes(self, *keys: str) -> "SAE":
        """The same SAE with these left out of `about`; itself where none of them is there."""
        rest = {key: said for key, said in self.about.items() if key not in keys}
        return self if len(rest) == len(self.about) else self._with(about=rest)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "SAE":
        """This SAE on a device, in the dtype it is stored in or another; the copy is kept with this one."""
        key = (torch.device(device), dtype)
        if key not in self._known:
            parts = {part: t.to(device, dtype or t.dtype) for part, t in self._held().items()}
            self._known[key] = self._with(**parts)
            if dtype is not None:  # a value may be beyond a smaller dtype
                self._known[key]._known.clear()
        return self._known[key]

    def only(self, latents: Sequence[int]) -> "SAE":
        """A few of its latents as an SAE of their own, in float32: all that a sliced clamp reads.

        Those of a topk SAE come as relu, as they are before they compete.

        Raises:
            ClampdownError: one of their values is not finite.
        """
        index = torch.as_tensor(list(latents), dtype=torch.long, device=self.w_enc.device)
        rows = {part: (t if part == "b_dec" else t[index]).float() for part, t in self._held().items()}
        few = self._with(kind="relu" if self.kind == "topk" else self.kind, k=None, **rows)
        few.check_finite()
        return few

    def crowd(self, device: torch.device | None = None) -> Crowd:
        """A topk SAE's whole encoder, for a few latents to compete with; a copy on a device is kept with this SAE.

        Raises:
            ClampdownError: one of its values is not finite.
        """
        assert self.k is not None
        self.check_finite(_ENCODER)
        key = ("crowd", device or self.w_enc.device)
        if key not in self._known:
            self._known[key] = Crowd(self.w_enc.to(device), self.b_enc.to(device), self.k)
        return self._known[key]

    def check_finite(self, parts: Sequence[str] = _PARTS) -> None:
        """Look once at every value of these parts.

        Raises:
            ClampdownError: one is not finite.
        """
        for part in parts:
            if part not in self._known:
                tensor = getattr(self, part)
                if tensor is not None and not is_finite(tensor):
                    raise ClampdownError(
                        f"{self.name}: {part} holds a value that is not finite; fetch or train it again"
                    )
                self._known[part] = True

    def normalised(self, x: Float[Tensor, "*rows d_model"]) -> Normalised:
        """The SAE's own input for residuals x [..., d_model]."""
        x = x.float()
        if self.normalise == "none":
            return Normalised(x, 1.0, 0.0)
        if self.normalise == "constant_norm":
            scale = x.norm(dim=-1, keepdim=True).clamp_min(1e-12) / self.d_model**0.5
            return Normalised(x / scale, scale, 0.0)
        shift = x.mean(-1, keepdim=True)
        scale = (x - shift).std(-1, keepdim=True) + 1e-5
        return Normalised((x - shift) / scale, scale, shift)

    def encode(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows n_latents"]:
        """Activations z for residuals x [..., d_model]: [..., n_latents]."""
        return self.activations(self.normalised(x).inner)

    def activations(self, inner: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows n_latents"]:
        """The same for inputs already normalised."""
        self.check_finite(_ENCODER)
        bias = None if self.kind == "gated" else self.b_enc
        return self._activated(product(self.centred(inner), self.w_enc, bias))

    def encode_latents(
        self, x: Float[Tensor, "*rows d_model"], latents: Sequence[int]
    ) -> Float[Tensor, "*rows chosen"]:
        """Activations of a few latents, [..., len(latents)], without holding all of them.

        Sliced for every kind but topk; topk encodes in tiles only the tokens where a chosen pre-activation is
        positive and may be among the k largest, and counts how many others exceed it.
        """
        inner = self.normalised(x).inner
        z = self.only(latents).activations(inner)
        if self.kind != "topk":
            return z
        index = torch.as_tensor(list(latents), dtype=torch.long, device=z.device)
        flat = self.centred(inner).reshape(-1, self.d_model)
        return self.crowd().winners(flat, z.reshape(len(flat), len(index)), index).reshape(z.shape)

    def decode(
        self, z: Float[Tensor, "*rows n_latents"], like: Normalised | None = None
    ) -> Float[Tensor, "*rows d_model"]:
        """Reconstruction of the residual from activations z [..., n_latents]: [..., d_model].

        A normalising SAE needs the `Normalised` of the residuals it encoded, to undo it.
        """
        self.check_finite(_DECODER)
        inner = weighted_rows(z, self.w_dec) + self.b_dec.float()
        if like is None:
            if self.normalise != "none":
                raise ClampdownError(
                    f"SAE {self.name} normalises each token: decode needs the encoded residual's scale"
                )
            return inner
        return inner * like.scale + like.shift

    def largest(self, x: Float[Tensor, "token d_model"]) -> Float[Tensor, " n_latents"]:
        """Each latent's largest activation over residuals x [token, d_model], encoded in tiles: [n_latents]."""
        best = torch.zeros(self.n_latents, device=x.device)
        for tile in x.split(tokens_at_a_time(self.n_latents)) if len(x) else ():
            best = torch.maximum(best, self.encode(tile).amax(0))
        return best

    def reconstruct(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """decode(encode(x)), normalisation undone: [..., d_model]."""
        return self.decode(self.encode(x), self.normalised(x))

    def centred(self, inner: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """What the encoder's rows are multiplied with."""
        return inner - self.b_dec.float() if self.subtract_decoder_bias else inner

    def _activated(self, pre: Tensor) -> Tensor:
        """z from the encoder's product, which has b_enc in it but where the SAE is gated."""
        if self.kind == "topk":
            assert self.k is not None
            last = pre.topk(self.k, dim=-1).values[..., -1:]
            return torch.where(pre >= last, pre, 0.0).clamp_min(0)
        if self.kind == "gated":
            assert self.gate_bias is not None and self.magnitude_scale is not None
            z = pre * self.magnitude_scale.float() + self.b_enc.float()
            return torch.where(pre + self.gate_bias.float() > 0, z, 0.0).clamp_min(0)
        if self.threshold is None:
            return pre.clamp_min(0)
        return torch.where(pre > self.threshold.float(), pre, 0.0).clamp_min(0)

    def _held(self) -> dict[str, Tensor]:
        return {part: tensor for part in _PARTS if (tensor := getattr(self, part)) is not None}

    def _with(self, **changes: Any) -> "SAE":
        """A copy that keeps what is known: the hash not yet asked for, and which values are finite."""
        copy = replace(self, sha256=self.__dict__["_sha256"], **changes)
        copy._known.update({part: True for part in _PARTS if part in self._known})
        return copy


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
    expected |= {part: (n,) for part in _PER_LATENT[3:] if getattr(sae, part) is not None}
    for part, shape in expected.items():
        if tuple(getattr(sae, part).shape) != shape:
            raise ClampdownError(f"{who}: {part} has shape {tuple(getattr(sae, part).shape)}, expected {shape}")
    if sae.kind == "topk" and not (sae.k and 0 < sae.k <= n):
        raise ClampdownError(f"{who}: a topk SAE needs k between 1 and {n}, got {sae.k}")
    if (sae.kind in ("jumprelu", "batchtopk")) != (sae.threshold is not None):
        raise ClampdownError(f"{who}: jumprelu and batchtopk SAEs need thresholds, and only they have any")
    if any((sae.kind == "gated") != (part is not None) for part in (sae.gate_bias, sae.magnitude_scale)):
        raise ClampdownError(f"{who}: gated SAEs need gate_bias and magnitude_scale, and only they have any")
    if sae.layer < 0:
        raise ClampdownError(f"{who}: layer must not be negative, got {sae.layer}")
