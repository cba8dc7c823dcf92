"""Attach recipes to a running model, one per row, and take the receipts."""

import inspect
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.change import Change, change, check_finite, placed
from clampdown.steering.edits import CompiledEdit, compile_edit
from clampdown.steering.positions import PlaceTracker
from clampdown.steering.receipt import Receipt
from clampdown.steering.tally import Tally

_UNREAD = 64
"""Steps on an accelerator after which it is asked whether the residuals were finite; it is asked at the end anyway."""


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
        self._tally: Tally | None = None
        self._rows: list[Tensor | None] | None = None
        self._unread: list[tuple[Tensor, int, Recipe]] = []
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
        if kind is None or issubclass(kind, Exception):  # what is not finite may be why the model failed
            try:
                self._settle()
            except ClampdownError as told:
                raise told from error

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only; the receipts of the others stand."""
        self.tracker.select(rows)
        if self._tally is not None:
            self._tally.keep(rows)
        self._rows = None

    def fan_out(self, rows: Tensor, prompt_lengths: Sequence[int] | None = None) -> None:
        """Go on with a new batch whose row r continues row rows[r] of this one, its recipe and a receipt of its own.

        For a beginning that several rows share, run once; call it before any row was left out.
        """
        if self._tally is not None and len(self._tally.alive) != len(self._tally):
            raise ClampdownError("rows were left out already; a batch can be fanned out before that only")
        self.tracker.select(rows, prompt_lengths)
        index = rows.cpu()
        self.owner, self.per_row, self._rows = self._owners()[index], True, None
        self.recipes = [self.recipes[i] if i < len(self.recipes) else self.recipes[0] for i in index.tolist()]
        if self._tally is not None:
            self._tally.fan_out(index)

    def receipts(self) -> list[Receipt]:
        """One receipt for each row seen so far."""
        if self._tally is None:
            return [Receipt() for _ in self.recipes]
        self._settle()
        found = []
        for owner, (seen, edited, push) in zip(self._owners().tolist(), self._tally.rows(), strict=True):
            if owner < 0:
                found.append(Receipt(tokens_seen=seen))
                continue
            path = "+".join(dict.fromkeys(edit.path for edit in self.edits[owner])) or "none"
            found.append(Receipt(self.kinds[owner].sha256, seen, edited, push, path))
        return found

    def _owners(self) -> Tensor:
        """Each row's recipe, as its place among `kinds`; -1 for a row without one. Of all rows there ever were."""
        if self.per_row or self._tally is None:
            return self.owner
        return self.owner.expand(len(self._tally))

    def _called(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = list(inspect.signature(type(module).forward).parameters)[1:] if args else []
        self._asked = {"attention_mask": (dict(zip(names, args, strict=False)) | kwargs).get("attention_mask")}

    def _before(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and isinstance(kwargs.get("attention_mask"), dict):
            # A model that also takes pictures hands its language model finished masks, one for each kind of block.
            kwargs = {**kwargs, **asked}
        self.places = self.tracker.places(args, kwargs)
        self._edited: Tensor | None = None  # what lower layers edited in this call
        rows = len(self.places.real)
        given = len(self.recipes if self._tally is None else self._tally.alive)
        if self.per_row and rows != given:
            raise ClampdownError(f"{given} recipes were given for a batch of {rows} rows; give one for each")
        if self._tally is None:
            self._tally = Tally(rows, self.places.real.device)
        elif rows != given:
            raise ClampdownError(f"the batch changed from {given} to {rows} rows inside one steering context")
        self._tally.saw(self.places.real)
        if len(self._unread) >= _UNREAD:
            self._settle()

    def _hook(self, layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            x = residual.block_output(output)
            changed = self._steer(layer, x)
            return None if changed is None else residual.with_block_output(output, changed)

        return hook

    def _steer(self, layer: int, x: Tensor) -> Tensor | None:
        """The residual with every row's edits at this layer made, or None where there are none."""
        whole: Change | None = None
        for kind, rows in enumerate(self._rows_of_kinds()):
            edits = [edit for edit in self.edits[kind] if edit.layer == layer]
            if not edits or (rows is not None and not len(rows)):
                continue
            here = None if rows is None else rows.to(x.device)
            part, places = (x, self.places) if here is None else (x[here], self.places.of(here))
            made = change(part, places, edits, self.kinds[kind])
            if made is None:
                continue
            if made.sizes is not None:
                self._unread.append((made.sizes, layer, self.kinds[kind]))
            whole = made if here is None else placed(made, here, x, whole)
        if whole is None:
            return None
        self._record(whole)
        return whole.x

    def _rows_of_kinds(self) -> list[Tensor | None]:
        """The rows of the batch that each of `kinds` steers, on the CPU; None for all of them."""
        if self._rows is None:
            assert self._tally is not None
            with torch.inference_mode(False):  # it serves calls in and out of it
                owners = torch.tensor(self._owners()[self._tally.alive].tolist())
                found = [(owners == kind).nonzero()[:, 0] for kind in range(len(self.kinds))]
            self._rows = [None if len(rows) == len(owners) else rows for rows in found]
        return self._rows

    def _settle(self) -> None:
        """Read what was not asked at once: whether the residuals were finite."""
        unread = self._unread
        if unread and not torch.isfinite(torch.cat([sizes.cpu() for sizes, _, _ in unread])).all():
            for sizes, layer, recipe in unread:
                check_finite(sizes, layer, recipe)
        self._unread = []

    def _record(self, made: Change) -> None:
        assert self._tally is not None
        mask = made.mask
        if self._edited is None:
            self._edited = new = mask
        else:
            so_far = self._edited.to(mask.device)
            new, self._edited = mask & ~so_far, mask | so_far
        self._tally.edited(new, mask, made.ratio)


def _distinct(recipes: Sequence[Recipe | None]) -> list[Recipe]:
    found: list[Recipe] = []
    for recipe in recipes:
        if recipe is not None and recipe not in found:
            found.append(recipe)
    return found


def _compiled(model: ChatModel, recipe: Recipe, saes: Sequence[SAE]) -> list[CompiledEdit]:
    if not model.is_named(recipe.model_sha256):
        raise ClampdownError(
            f"recipe {recipe.name} was made for {recipe.model} with weights {recipe.model_sha256[:12]}, but the loaded "
            f"{model.name} has {model.sha256[:12]}: other weights or another configuration; find a recipe for it"
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
