"""The edits of many recipes at one layer, laid together so that one product serves all tokens of a batch.

Edits at one layer stay one upon the other: the first edit of every recipe is the first stage, and so on. In a stage the
clamps of one SAE share a part, and so do all directions; a part has a slot for each latent or vector that any recipe
uses. With z the slots' readings of a token under recipe r, V[r] the values and A[r] the factors of that recipe:

    u = V[r] − A[r] ⊙ z,    Δ = s · u D

where D are the slots' decoder rows and s the token's scale in an SAE that normalises (else 1). A clamp has V = c and
A = 1, one that multiplies by m V = 0 and A = 1 − m; where latents are kept at least at c, max(u, 0) is in the place of
u. A direction that is added has V = strength and A = 0, one that is removed V = 0 and A = strength. Slots that a recipe
does not use are masked out, never multiplied by 0: 0 · ∞ would let recipes cross.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from clampdown.saes.sae import SAE
from clampdown.saes.tiles import tokens_at_a_time
from clampdown.steering.edits import AddDirection, CompiledEdit, DeltaClamp, ReconstructClamp, RemoveDirection

Under: TypeAlias = Int[Tensor, " token"] | int
"""Which recipe each token is under, as its number [token]; or one number for all of them."""


class Part(Protocol):
    """Edits of several recipes that are computed together."""

    def delta(self, x: Float[Tensor, "token d_model"], recipe: Under) -> Float[Tensor, "token d_model"]:
        """Δ for float32 residuals x [token, d_model], each under its recipe."""
        ...


class Table:
    """The values of a part's slots under every recipe, and which of them a recipe uses: [recipe, slot] each.

    The row after the last recipe is that of no recipe. operations: of the recipes whose edit is a clamp, what it does.
    """

    def __init__(
        self,
        recipes: int,
        slots: int,
        cells: Iterable[tuple[int, int, float]],
        device: torch.device,
        operations: Mapping[int, str] | None = None,
    ) -> None:
        values, used = torch.zeros(recipes + 1, slots), torch.zeros(recipes + 1, slots, dtype=torch.bool)
        for recipe, slot, value in cells:
            values[recipe, slot], used[recipe, slot] = value, True
        self.whole = used.all(-1).tolist()
        self.values, self.used = values.to(device), used.to(device)
        does = [(operations or {}).get(recipe, "set") for recipe in range(recipes + 1)]
        self.only_sets = set(does) == {"set"}
        self.at_least, self.multiplied = (
            torch.tensor([[one == operation] for one in does], device=device) for operation in ("at-least", "multiply")
        )

    def operated(self, z: Float[Tensor, "token slot"], recipe: Under) -> Float[Tensor, "... slot"]:
        """What the clamps make of activations z: V + (1 − A) ⊙ z, or the larger of V and z; or [slot]."""
        own = self.values[recipe]
        if self.only_sets:
            return own
        changed = torch.where(self.multiplied[recipe], own * z, own)
        return torch.where(self.at_least[recipe], torch.maximum(own, z), changed)

    def masked(self, u: Float[Tensor, "... slot"], recipe: Under) -> Float[Tensor, "... slot"]:
        """u [token, slot] or [slot], and 0 in the slots that a token's recipe does not use."""
        if isinstance(recipe, int) and self.whole[recipe]:
            return u
        return torch.where(self.used[recipe], u, 0.0)


class Bank:
    """The edits of some recipes at one layer.

    Recipes are numbered in the order given; the number `nobody` is that of a token without one.
    """

    def __init__(self, recipes: Sequence[Sequence[CompiledEdit]]) -> None:
        self.nobody = len(recipes)
        depth = max(map(len, recipes), default=0)
        self.stages = [
            _parts([edits[stage] if stage < len(edits) else None for edits in recipes]) for stage in range(depth)
        ]

    def edited(
        self, x: Float[Tensor, "token d_model"], recipe: Under, weight: Float[Tensor, "token 1"] | None = None
    ) -> Float[Tensor, "token d_model"]:
        """Float32 residuals x [token, d_model] after the edits of each token's recipe, one upon the other.

        weight: what Δ is multiplied by, [token, 1]; None is 1.
        """
        for parts in self.stages:
            for delta in [part.delta(x, recipe) for part in parts]:
                x = x + (delta if weight is None else weight * delta)
        return x


def _parts(edits: Sequence[CompiledEdit | None]) -> list[Part]:
    """One edit of each recipe, or none, put together by how it is computed and by SAE."""
    groups: dict[tuple[type, int], list[int]] = {}
    for number, edit in enumerate(edits):
        if edit is not None:
            directed = isinstance(edit, AddDirection | RemoveDirection)
            key = (AddDirection, 0) if directed else (type(edit), id(getattr(edit, "sae", edit)))
            groups.setdefault(key, []).append(number)
    made = {DeltaClamp: SlicedClamps, ReconstructClamp: WholeClamps, AddDirection: Directions}
    return [made[kind]({n: edits[n] for n in numbers}, len(edits)) for (kind, _), numbers in groups.items()]


class SlicedClamps:
    """Clamps of one SAE under the rule delta: only the latents that some recipe names are read.

    Under topk the others are encoded too, on tokens where one of the token's own latents may be on.
    """

    def __init__(self, edits: dict[int, DeltaClamp], recipes: int) -> None:
        first = next(iter(edits.values()))
        latents = list(dict.fromkeys(latent for edit in edits.values() for latent in edit.latents))
        same = latents == list(first.latents)
        self.few = first.few if same else first.sae.only(latents).to(first.values.device)
        self.crowd = first.crowd
        self.index = torch.tensor(latents, dtype=torch.long, device=first.values.device)
        self.table = Table(recipes, len(latents), _cells(edits, latents), self.index.device, _operations(edits))

    def delta(self, x: Float[Tensor, "token d_model"], recipe: Under) -> Float[Tensor, "token d_model"]:
        like = self.few.normalised(x)
        z = self.few.activations(like.inner)
        if self.crowd is not None:
            z = self.crowd.winners(self.few.centred(like.inner), self.table.masked(z, recipe), self.index)
        push = self.table.masked(self.table.operated(z, recipe) - z, recipe) @ self.few.w_dec
        return push * like.scale if isinstance(like.scale, Tensor) else push


class Directions:
    """Directions added and removed: a slot for each recipe's vector."""

    def __init__(self, edits: dict[int, AddDirection | RemoveDirection], recipes: int) -> None:
        adds = [isinstance(edit, AddDirection) for edit in edits.values()]
        self.vectors = torch.stack([edit.vector for edit in edits.values()])
        cells = ((recipe, slot, edit.strength) for slot, (recipe, edit) in enumerate(edits.items()))
        self.table = Table(recipes, len(edits), cells, self.vectors.device)
        self.added = torch.tensor(adds, device=self.vectors.device)
        self.only_added = all(adds)

    def delta(self, x: Float[Tensor, "token d_model"], recipe: Under) -> Float[Tensor, "token d_model"]:
        push = self.table.values[recipe]
        if not self.only_added:
            push = torch.where(self.added, push, -push * (x @ self.vectors.T))
        push = self.table.masked(push, recipe) @ self.vectors
        return push.expand_as(x)


class WholeClamps:
    """Clamps of one SAE under the rule reconstruct: its output replaces the residual, its error dropped."""

    def __init__(self, edits: dict[int, ReconstructClamp], recipes: int) -> None:
        first = next(iter(edits.values()))
        self.sae: SAE = first.sae
        latents = list(dict.fromkeys(latent for edit in edits.values() for latent in edit.latents))
        device = self.sae.w_dec.device
        self.index = torch.tensor(latents, dtype=torch.long, device=device)
        self.table = Table(recipes, len(latents), _cells(edits, latents), device, _operations(edits))
        self.mine = torch.zeros(recipes + 1, dtype=torch.bool, device=device)
        self.mine[list(edits)] = True

    def delta(self, x: Float[Tensor, "token d_model"], recipe: Under) -> Float[Tensor, "token d_model"]:
        if isinstance(recipe, int):
            recipe = torch.full((len(x),), recipe, device=x.device)
        mine = self.mine[recipe]
        if x.device.type != "cpu":  # where picking them would make the device wait
            return torch.where(mine[:, None], self._delta(x, recipe), 0.0)
        found = torch.zeros_like(x)
        found[mine] = self._delta(x[mine], recipe[mine])
        return found

    def _delta(self, x: Tensor, recipe: Tensor) -> Tensor:
        size = tokens_at_a_time(self.sae.n_latents)
        tiles = zip(x.split(size), recipe.split(size), strict=True)
        return torch.cat([self._of_tile(tile, under) for tile, under in tiles])

    def _of_tile(self, x: Tensor, recipe: Tensor) -> Tensor:
        z = self.sae.encode(x)
        own = z[:, self.index]
        z[:, self.index] = torch.where(self.table.used[recipe], self.table.operated(own, recipe), own)
        return self.sae.decode(z, self.sae.normalised(x)) - x


def _cells(edits: Mapping[int, DeltaClamp | ReconstructClamp], latents: list[int]) -> Iterator[tuple[int, int, float]]:
    """(recipe, slot, value) of every latent that is clamped."""
    for recipe, edit in edits.items():
        for latent, value in edit.latents.items():
            yield recipe, latents.index(latent), value


def _operations(edits: Mapping[int, DeltaClamp | ReconstructClamp]) -> dict[int, str]:
    return {recipe: edit.operation for recipe, edit in edits.items()}
