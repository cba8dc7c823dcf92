"""Attach recipes to a running model, one per row, and take the receipts."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Positions, Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.edits import CompiledEdit, compile_edit
from clampdown.steering.positions import PlaceTracker
from clampdown.steering.receipt import Receipt


class Steering:
    """A context in which every forward call of a model is steered by its rows' recipes.

    One recipe (or None) steers all rows; a list steers row r by its r-th entry, and a call with another number of rows
    is refused. Nothing outlives the context and nothing is shared between two of them.

    Raises:
        ClampdownError: a recipe is for another model, or an edit does not fit it.
    """

    def __init__(
        self,
        model: ChatModel,
        recipes: Recipe | Sequence[Recipe | None] | None,
        *,
        prompt_lengths: Sequence[int] | None = None,
        saes: Sequence[SAE] = (),
    ) -> None:
        self.model = model
        self.per_row = isinstance(recipes, Sequence)
        self.recipes: list[Recipe | None] = list(recipes) if isinstance(recipes, Sequence) else [recipes]
        self.kinds = _distinct(self.recipes)
        self.edits = [_compiled(model, recipe, saes) for recipe in self.kinds]
        self.tracker = PlaceTracker(prompt_lengths)
        self.owner = torch.tensor([self.kinds.index(r) if r is not None else -1 for r in self.recipes])
        self.alive = torch.arange(len(self.recipes))
        self._counts: Tensor | None = None
        self._asked: dict[str, Any] | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> "Steering":
        if self._handles:
            raise ClampdownError("this steering is on already; make another one")
        decoder = residual.decoder(self.model.hf)
        if decoder is not self.model.hf:
            self._handles.append(self.model.hf.register_forward_pre_hook(self._called, with_kwargs=True))
        self._handles.append(decoder.register_forward_pre_hook(self._before, with_kwargs=True))
        blocks = residual.blocks(self.model.hf)
        for layer in sorted({edit.layer for edits in self.edits for edit in edits}):
            self._handles.append(blocks[layer].register_forward_hook(self._hook(layer)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only; the receipts of the others stand."""
        self.tracker.select(rows)
        self.alive = self.alive[rows.cpu()]

    def fan_out(self, rows: Tensor, prompt_lengths: Sequence[int] | None = None) -> None:
        """Go on with a new batch whose row r continues row rows[r] of this one, its recipe and a receipt of its own.

        For a beginning that several rows share, run once; call it before any row was left out.
        """
        self.tracker.select(rows, prompt_lengths)
        index = rows.cpu()
        self.owner, self.per_row = self._owners(len(self.alive))[index], True
        self.recipes = [self.recipes[i] if i < len(self.recipes) else self.recipes[0] for i in index.tolist()]
        self.alive = torch.arange(len(index))
        if self._counts is not None:
            self._counts = self._counts[index]

    def receipts(self) -> list[Receipt]:
        """One receipt for each row seen so far."""
        if self._counts is None:
            return [Receipt() for _ in self.recipes]
        owners = self._owners(len(self._counts))
        found = []
        for owner, (seen, edited, norm, places) in zip(owners.tolist(), self._counts.tolist(), strict=True):
            if owner < 0:
                found.append(Receipt(tokens_seen=int(seen)))
                continue
            recipe = self.kinds[owner]
            path = "+".join(dict.fromkeys(edit.path for edit in self.edits[owner])) or "none"
            found.append(Receipt(recipe.sha256, int(seen), int(edited), norm / places if places else 0.0, path))
        return found

    def _owners(self, rows: int) -> Tensor:
        if self.per_row:
            return self.owner
        return self.owner.expand(rows)

    def _called(self, _module: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._asked = {"attention_mask": kwargs.get("attention_mask")}

    def _before(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and isinstance(kwargs.get("attention_mask"), dict):
            # A model that also takes pictures hands its language model finished masks, one for each kind of block.
            kwargs = {**kwargs, **asked}
        self.places = self.tracker.places(args, kwargs)
        rows = len(self.places.real)
        if self.per_row and rows != len(self.alive):
            raise ClampdownError(f"{len(self.alive)} recipes were given for a batch of {rows} rows; give one for each")
        if not self.per_row and self._counts is None:
            self.alive = torch.arange(rows)
        if self._counts is None:
            self._counts = torch.zeros(rows, 4, dtype=torch.float64)  # seen, edited, sum of norms, edits summed
        elif rows != len(self.alive):
            raise ClampdownError(f"the batch changed from {len(self.alive)} to {rows} rows inside one steering context")
        self._counts[:, 0].index_add_(0, self.alive, self.places.real.sum(-1).cpu().double())
        self._edited = torch.zeros_like(self.places.real)

    def _hook(self, layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            x = residual.block_output(output)
            changed = self._steer(layer, x)
            return None if changed is None else residual.with_block_output(output, changed)

        return hook

    def _steer(self, layer: int, x: Tensor) -> Tensor | None:
        """The residual with every row's edits at this layer made, or None where there are none."""
        owners = self._owners(len(self._counts))[self.alive].to(x.device)  # type: ignore[arg-type]
        changed: Tensor | None = None
        for owner, (recipe, edits) in enumerate(zip(self.kinds, self.edits, strict=True)):
            here = [edit for edit in edits if edit.layer == layer]
            mine = owners == owner
            if not here or not mine.any():
                continue
            mask = self._places_of(recipe.positions, x) & mine[:, None]
            if not mask.any():
                continue
            changed = x.clone() if changed is None else changed
            before = x[mask].float()
            after = before
            for edit in here:
                after = after + edit.delta(after)
            stored = after.to(x.dtype)
            self._check(stored, layer, recipe)  # as stored: float16 overflows where float32 does not
            changed[mask] = stored
            self._record(mask, before, after)
        return changed

    def _places_of(self, positions: Positions, x: Tensor) -> Tensor:
        norm = None
        if positions.sink_norm is not None:
            norm = x.float().norm(dim=-1).to(self.places.real.device)
        return self.places.selected(positions, norm).to(x.device)

    def _check(self, after: Tensor, layer: int, recipe: Recipe) -> None:
        # Of the squares, because the next block's norm squares: where that overflows it gives zeros, and no warning.
        if not torch.isfinite(after.float().pow(2).sum(-1)).all():
            raise ClampdownError(
                f"recipe {recipe.name}: steering at layer {layer} gave a residual that is not finite or too large; "
                "nothing was returned"
            )

    def _record(self, mask: Tensor, before: Tensor, after: Tensor) -> None:
        assert self._counts is not None
        ratio = ((after - before).norm(dim=-1) / before.norm(dim=-1).clamp_min(1e-12)).double()
        rows = mask.nonzero()[:, 0].cpu()
        alive = self.alive[rows]
        new = mask & ~self._edited.to(mask.device)
        self._edited = self._edited.to(mask.device) | mask
        self._counts[:, 1].index_add_(0, self.alive, new.sum(-1).cpu().double())
        self._counts[:, 2].index_add_(0, alive, ratio.detach().cpu())
        self._counts[:, 3].index_add_(0, alive, torch.ones(len(alive), dtype=torch.float64))


def _distinct(recipes: Sequence[Recipe | None]) -> list[Recipe]:
    found: list[Recipe] = []
    for recipe in recipes:
        if recipe is not None and recipe not in found:
            found.append(recipe)
    return found


def _compiled(model: ChatModel, recipe: Recipe, saes: Sequence[SAE]) -> list[CompiledEdit]:
    if recipe.model_sha256 and model.sha256 and recipe.model_sha256 != model.sha256:
        raise ClampdownError(
            f"recipe {recipe.name} was made for {recipe.model} with weights {recipe.model_sha256[:12]}, but the loaded "
            f"{model.name} has {model.sha256[:12]}; find a recipe for this model"
        )
    try:
        return [
            compile_edit(
                edit,
                n_layers=model.n_layers,
                d_model=model.d_model,
                device=model.device_at(edit.layer),
                saes=saes,
            )
            for edit in recipe.edits
        ]
    except ClampdownError as error:
        raise ClampdownError(f"recipe {recipe.name}: {error}") from error
