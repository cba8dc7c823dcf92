"""The arithmetic of an edit: what a clamp or a direction adds to a residual (docs/design.md).

With x a residual, z = encode(x), d_i the decoder row of latent i and z'_i what a clamp makes of it with its value c_i,
by its operation (set: c_i; at-least: max(z_i, c_i); multiply: c_i · z_i):

- clamp, rule delta:        Δ = s · Σ_i (z'_i − z_i) d_i, with s the token's scale in an SAE that normalises (else 1)
- clamp, rule reconstruct:  Δ = decode(z with z'_i) − x
- direction, add:           Δ = strength · v
- direction, remove:        Δ = −strength · (x · v̂) v̂
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Direction, Edit
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.saes.tiles import tokens_at_a_time


class CompiledEdit(Protocol):
    """An edit made ready for a model: its layer, how it is computed, and the Δ it adds."""

    layer: int
    path: str

    def delta(self, x: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
        """Δ for float32 residuals x [tokens, d_model]: [tokens, d_model]."""
        ...


def operated(
    operation: str, values: Float[Tensor, "*#rows latent"], z: Float[Tensor, "*rows latent"]
) -> Float[Tensor, "*#rows latent"]:
    """What a clamp's operation makes of activations z [..., latent], given its values [latent] or as broadcast."""
    if operation == "set":
        return values
    return torch.maximum(values, z) if operation == "at-least" else values * z


class DeltaClamp:
    """Rule delta. Only the chosen latents' rows are read, except where a topk SAE needs all to know which are on.

    Those rows, and a topk SAE's encoder, are copied to `device` (default: where the SAE is).

    Raises:
        ClampdownError: a value that is needed is not finite.
    """

    def __init__(
        self,
        sae: SAE,
        layer: int,
        values: dict[int, float],
        device: torch.device | None = None,
        operation: str = "set",
    ) -> None:
        device = device or sae.w_enc.device
        self.sae, self.layer, self.latents, self.operation = sae, layer, values, operation
        self.values = torch.tensor(list(values.values()), dtype=torch.float32, device=device)
        self.index = torch.tensor(list(values), dtype=torch.long, device=device)
        self.few = sae.only(list(values)).to(device)
        self.rows = self.few.w_dec
        self.crowd = sae.crowd(device) if sae.kind == "topk" else None
        self.path = "sliced" if self.crowd is None else "full where a chosen latent is on"

    def delta(self, x: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
        like = self.few.normalised(x)
        z = self.few.activations(like.inner)
        if self.crowd is not None:
            z = self.crowd.winners(self.few.centred(like.inner), z, self.index)
        push = (operated(self.operation, self.values, z) - z) @ self.rows
        return push * like.scale if isinstance(like.scale, Tensor) else push


class ReconstructClamp:
    """Rule reconstruct: the SAE's output replaces the residual, its error dropped."""

    path = "full"

    def __init__(
        self,
        sae: SAE,
        layer: int,
        values: dict[int, float],
        device: torch.device | None = None,
        operation: str = "set",
    ) -> None:
        sae.check_finite()
        self.sae, self.layer, self.latents = sae.to(device or sae.w_enc.device), layer, values
        self.operation = operation
        self.index = torch.tensor(list(values), dtype=torch.long, device=self.sae.w_dec.device)
        self.values = torch.tensor(list(values.values()), dtype=torch.float32, device=self.sae.w_dec.device)

    def delta(self, x: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
        return torch.cat([self._delta(tile) for tile in x.split(tokens_at_a_time(self.sae.n_latents))])

    def _delta(self, x: Tensor) -> Tensor:
        z = self.sae.encode(x)
        z[..., self.index] = operated(self.operation, self.values, z[..., self.index])
        return self.sae.decode(z, self.sae.normalised(x)) - x


class AddDirection:
    """Adds the same vector to every edited position."""

    path = "direction"

    def __init__(self, vector: Tensor, layer: int, strength: float) -> None:
        self.layer, self.vector, self.strength = layer, vector, strength

    def delta(self, x: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
        return (self.strength * self.vector).expand_as(x)


class RemoveDirection:
    """Projects a direction out, wholly at strength 1."""

    path = "direction"

    def __init__(self, vector: Tensor, layer: int, strength: float) -> None:
        self.layer, self.strength = layer, strength
        self.vector = vector / vector.norm()

    def delta(self, x: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
        return -self.strength * (x @ self.vector)[..., None] * self.vector


def compile_edit(
    edit: Edit, *, n_layers: int, d_model: int, device: torch.device, saes: Sequence[SAE] = ()
) -> CompiledEdit:
    """Make an edit ready for a model of `n_layers` blocks of width `d_model`.

    SAEs in `saes` are used by name before any is loaded from disk.

    Raises:
        ClampdownError: the layer or a latent does not exist, widths differ, or the SAE is not the one named by hash.
    """
    if edit.layer >= n_layers:
        raise ClampdownError(f"layer {edit.layer} does not exist: this model has blocks 0 to {n_layers - 1}")
    if isinstance(edit, Direction):
        vector = direction_vector(edit, d_model).to(device)
        kind = AddDirection if edit.operation == "add" else RemoveDirection
        return kind(vector, edit.layer, edit.strength)
    sae = _named(edit.sae, saes)
    _check_sae(sae, edit, d_model)
    kind_of_clamp = DeltaClamp if edit.rule == "delta" else ReconstructClamp
    return kind_of_clamp(sae, edit.layer, resolved(edit, sae), device, edit.operation)


def check_named_once(edits: Sequence[Edit], saes: Sequence[SAE] = ()) -> None:
    """What a recipe checks by names and hashes, for an SAE that goes by two names.

    Raises:
        ClampdownError: two clamps at one layer set the same latent of the same SAE.
    """
    clamps = [edit for edit in edits if isinstance(edit, Clamp)]
    for place, one in enumerate(clamps):
        for other in clamps[:place]:
            twice = sorted(one.values.keys() & other.values.keys()) if one.layer == other.layer else []
            if twice and _same(_named(one.sae, saes), _named(other.sae, saes)):
                raise ClampdownError(
                    f"latent {twice[0]} is clamped twice at layer {one.layer}, for {one.sae} and {other.sae} are the "
                    "same SAE; name it once"
                )


def _same(one: SAE, other: SAE) -> bool:
    return one is other or bool(one.sha256 and one.sha256 == other.sha256)


def _named(name: str, saes: Sequence[SAE]) -> SAE:
    return next((sae for sae in saes if sae.name == name), None) or load_sae(name)


def resolved(edit: Clamp, sae: SAE) -> dict[int, float]:
    """A clamp's values in activation units. Raises ClampdownError where the SAE does not say its latents' maxima."""
    if edit.relative and sae.maximum is None:
        raise ClampdownError(f"SAE {sae.name} does not say its latents' maxima: give clamp values as numbers")
    sae.check_finite(("maximum",))
    maxima = {latent: float(sae.maximum[latent]) for latent in edit.relative} if sae.maximum is not None else {}
    return edit.resolved(maxima)


def direction_vector(edit: Direction, d_model: int) -> Float[Tensor, " {d_model}"]:
    """A direction's vector: its values, or the unit vector of its seed."""
    if edit.seed is not None:
        drawn = torch.randn(d_model, generator=torch.Generator().manual_seed(edit.seed))
        return drawn / drawn.norm()
    if len(edit.values) != d_model:
        raise ClampdownError(f"a direction has {len(edit.values)} values, but the model's residual has {d_model}")
    vector = torch.tensor(edit.values)
    length = float(vector.norm())
    if not length > 0:
        raise ClampdownError("a direction of length zero steers nothing; remove the edit")
    if not math.isfinite(length):  # dividing by it would give a direction of length zero
        raise ClampdownError("a direction's values are too large; scale them down")
    return vector


def _check_sae(sae: SAE, edit: Clamp, d_model: int) -> None:
    if sae.d_model != d_model:
        raise ClampdownError(f"SAE {sae.name} is for residuals of width {sae.d_model}, but this model's is {d_model}")
    if sae.layer != edit.layer:
        raise ClampdownError(f"SAE {sae.name} was trained at layer {sae.layer}, but the recipe clamps at {edit.layer}")
    if edit.sae_sha256 and sae.sha256 and edit.sae_sha256 != sae.sha256:
        raise ClampdownError(
            f"SAE {sae.name} has hash {sae.sha256[:12]}, but the recipe was made with {edit.sae_sha256[:12]}: "
            "latent numbers mean nothing in another SAE; find them anew"
        )
    beyond = [latent for latent in edit.values if latent >= sae.n_latents]
    if beyond:
        raise ClampdownError(f"latent {beyond[0]} does not exist: SAE {sae.name} has latents 0 to {sae.n_latents - 1}")
