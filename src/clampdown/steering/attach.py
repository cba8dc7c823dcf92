"""Attach recipes to a running model, one per row, and take the receipts."""

import inspect
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.edits import CompiledEdit, compile_edit
from clampdown.steering.positions import PlaceTracker
from clampdown.steering.receipt import Receipt
from clampdown.steering.rows import Rows


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
        rows = list(recipes) if isinstance(recipes, Sequence) else [recipes]
        self.rows = Rows(rows, lambda recipe: _compiled(model, recipe, saes))
        self.tracker = PlaceTracker(prompt_lengths)
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
        for layer in self.rows.layers:
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
                self.rows.settle()
            except ClampdownError as told:
                raise told from error

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only; the receipts of the others stand."""
        self.tracker.select(rows)
        self.rows.keep(rows)

    def fan_out(self, rows: Tensor, prompt_lengths: Sequence[int] | None = None) -> None:
        """Go on with a new batch whose row r continues row rows[r] of this one, its recipe and a receipt of its own.

        For a beginning that several rows share, run once; call it before any row was left out.
        """
        self.rows.fan_out(rows)
        self.tracker.select(rows, prompt_lengths)
        self.per_row = True

    def receipts(self) -> list[Receipt]:
        """One receipt for each row seen so far."""
        return self.rows.receipts()

    def _called(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = list(inspect.signature(type(module).forward).parameters)[1:] if args else []
        self._asked = {"attention_mask": (dict(zip(names, args, strict=False)) | kwargs).get("attention_mask")}

    def _before(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and isinstance(kwargs.get("attention_mask"), dict):
            # A model that also takes pictures hands its language model finished masks, one for each kind of block.
            kwargs = {**kwargs, **asked}
        self.places = self.tracker.places(args, kwargs)
        rows, tally = len(self.places.real), self.rows.tally
        given = len(self.rows.recipes if tally is None else tally.alive)
        if self.per_row and rows != given:
            raise ClampdownError(f"{given} recipes were given for a batch of {rows} rows; give one for each")
        if tally is not None and rows != given:
            raise ClampdownError(f"the batch changed from {given} to {rows} rows inside one steering context")
        self.rows.saw(self.places)

    def _hook(self, layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            x = residual.block_output(output)
            changed = self.rows.steer(layer, x, self.places)
            return None if changed is None else residual.with_block_output(output, changed)

        return hook


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
