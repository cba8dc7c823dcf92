"""Attach recipes to a running model, one per row, and take the receipts."""

import inspect
import math
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.models.turns import turn_of, unsteered
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.change import Change, change, placed
from clampdown.steering.edits import CompiledEdit, check_named_once, compile_edit
from clampdown.steering.finite import Finite
from clampdown.steering.positions import PlaceTracker
from clampdown.steering.receipt import Receipt
from clampdown.steering.tally import Tally

_UNREAD = 64
"""Steps on an accelerator after which it is asked whether the residuals were finite; it is asked at the end anyway."""


class Steering:
    """A context in which every forward call of a model is steered by its rows' recipes.

    One recipe (or None) steers all rows; a list steers row r by its r-th entry, and a call with another number of rows
    is refused. Nothing outlives the context. A model is steered once at a time: another thread that steers it, or runs
    it by a function of ours, waits until the context ends; one that calls it by itself meanwhile gets an error.

    apart: a row whose residual is not finite gets its error in `errors`, and the others go on; else all fail with it.

    Raises:
        ClampdownError: a recipe is for another model, or an edit does not fit it; on entering, this thread steers the
            model already.
    """

    def __init__(
        self,
        model: ChatModel,
        recipes: Recipe | Sequence[Recipe | None] | None,
        *,
        prompt_lengths: Sequence[int] | None = None,
        saes: Sequence[SAE] = (),
        apart: bool = False,
    ) -> None:
        self.model = model
        self.per_row = isinstance(recipes, Sequence)
        self.recipes: list[Recipe | None] = list(recipes) if isinstance(recipes, Sequence) else [recipes]
        self.kinds = list(dict.fromkeys(recipe for recipe in self.recipes if recipe is not None))
        self.edits = [_compiled(model, recipe, saes) for recipe in self.kinds]
        self.tracker = PlaceTracker(prompt_lengths)
        number = {recipe: n for n, recipe in enumerate(self.kinds)}
        self.owner = torch.tensor([-1 if recipe is None else number[recipe] for recipe in self.recipes])
        self._tally: Tally | None = None
        self._rows: list[Tensor | None] | None = None
        self._numbers: list[Tensor] = []
        self._finite = Finite(apart)
        self._asked: dict[str, Any] | None = None
        self._on: ExitStack | None = None
        self._turn = turn_of(residual.decoder(model.hf))

    def __enter__(self) -> "Steering":
        if self._on is not None:
            raise ClampdownError("this steering is on already; make another one")
        on = ExitStack()
        try:
            on.enter_context(unsteered(residual.decoder(self.model.hf)))
            self._attach(on)
        except BaseException:
            on.close()
            raise
        self._on = on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on is not None:
            self._on.close()
            self._on = None
        if kind is None or issubclass(kind, Exception):  # what is not finite may be why the model failed
            try:
                self._finite.settle()
            except ClampdownError as told:
                raise told from error

    def _attach(self, on: ExitStack) -> None:
        """Fasten the hooks; `on` undoes it, whatever comes in between."""
        hf, decoder, blocks = self.model.hf, residual.decoder(self.model.hf), residual.blocks(self.model.hf)
        on.callback(setattr, self._turn, "steering", None)
        self._turn.steering = self
        for module, before in ((hf, self._called), (decoder, self._before)):
            if module is decoder or decoder is not hf:
                on.callback(module.register_forward_pre_hook(self._mine(before), with_kwargs=True).remove)
        for layer in sorted({edit.layer for edits in self.edits for edit in edits}):
            on.callback(blocks[layer].register_forward_hook(self._hook(layer)).remove)

    def _mine(self, hook: Any) -> Any:
        """The hook, for calls of the thread that steers; those of another, which it would steer too, are refused."""

        def guarded(*call: Any) -> Any:
            if self._turn.steering is not self:
                return None  # left behind where starting or ending was interrupted
            self._turn.check_mine()
            return hook(*call)

        return guarded

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
        self._finite.fan_out(index)
        self.owner, self.per_row, self._rows = self._owners()[index], True, None
        self.recipes = [self.recipes[i] if i < len(self.recipes) else self.recipes[0] for i in index.tolist()]
        if self._tally is not None:
            self._tally.fan_out(index)

    def receipts(self) -> list[Receipt]:
        """One receipt for each row seen so far."""
        if self._tally is None:
            return [Receipt() for _ in self.recipes]
        self._finite.settle()
        found = []
        for owner, (seen, edited, push) in zip(self._owners().tolist(), self._tally.rows(), strict=True):
            if owner < 0:
                found.append(Receipt(tokens_seen=seen))
                continue
            push = push if math.isfinite(push) else 0.0  # only of a row that has an error
            path = "+".join(dict.fromkeys(edit.path for edit in self.edits[owner])) or "none"
            found.append(Receipt(self.kinds[owner].sha256, seen, edited, push, path))
        return found

    def settle(self) -> None:
        """Look now whether all so far was finite, which an accelerator must be waited for."""
        self._finite.settle()

    @property
    def errors(self) -> dict[int, str]:
        """Why rows failed, by their number, where they are kept `apart`; complete once the context ended."""
        return self._finite.errors

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
        if len(self._finite) >= _UNREAD:
            self._finite.settle()

    def _hook(self, layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            x = residual.block_output(output)
            changed = self._steer(layer, x)
            return None if changed is None else residual.with_block_output(output, changed)

        return self._mine(hook)

    def _steer(self, layer: int, x: Tensor) -> Tensor | None:
        """The residual with every row's edits at this layer made, or None where there are none."""
        assert self._tally is not None
        whole: Change | None = None
        for kind, rows in enumerate(self._rows_of_kinds()):
            edits = [edit for edit in self.edits[kind] if edit.layer == layer]
            if not edits or (rows is not None and not len(rows)):
                continue
            here = None if rows is None else rows.to(x.device)
            part, places = (x, self.places) if here is None else (x[here], self.places.of(here))
            made = change(part, places, edits, self.kinds[kind].positions)
            if made is None:
                continue
            numbers = self._tally.alive if rows is None else self._numbers[kind]
            made = self._looked_at(made, part, numbers, _not_finite(self.kinds[kind], layer))
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
                alive = self._tally.alive
                owners = torch.tensor(self._owners()[alive].tolist())
                found = [(owners == kind).nonzero()[:, 0] for kind in range(len(self.kinds))]
                self._numbers = [alive[rows] for rows in found]  # among all rows there ever were
            self._rows = [None if len(rows) == len(owners) else rows for rows in found]
        return self._rows

    def _looked_at(self, made: Change, before: Tensor, numbers: Tensor, error: str) -> Change:
        """The change of some rows, undone where it is not finite and that can be asked now."""
        if not made.now:
            self._finite.later(made.sizes, numbers, error)
            return made
        bad = self._finite.look(made.sizes, numbers, error)
        return made if bad is None else made.without(bad, before)

    def _record(self, made: Change) -> None:
        assert self._tally is not None
        mask = made.mask
        if self._edited is None:
            self._edited = new = mask
        else:
            so_far = self._edited.to(mask.device)
            new, self._edited = mask & ~so_far, mask | so_far
        self._tally.edited(new, mask, made.ratio)


def _not_finite(recipe: Recipe, layer: int) -> str:
    return (
        f"recipe {recipe.name}: steering at layer {layer} gave a residual that is not finite or too large; nothing was "
        "returned"
    )


def _compiled(model: ChatModel, recipe: Recipe, saes: Sequence[SAE]) -> list[CompiledEdit]:
    if recipe.model_sha256 and model.sha256 and recipe.model_sha256 != model.sha256:
        raise ClampdownError(
            f"recipe {recipe.name} was made for {recipe.model} with weights {recipe.model_sha256[:12]}, but the loaded "
            f"{model.name} has {model.sha256[:12]}; find a recipe for this model"
        )
    try:
        check_named_once(recipe.edits, saes)
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
