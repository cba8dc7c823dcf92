"""Attach recipes to a running model, one per row, and take the receipts."""

import inspect
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.models.exclusive import turn_of, unsteered
from clampdown.models.prompt import Spans
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.decision import Decision, unasked
from clampdown.steering.edits import CompiledEdit, check_named_once, compile_edit
from clampdown.steering.finite import Finite
from clampdown.steering.gates.asking import Asking, asks
from clampdown.steering.positions import Places, PlaceTracker, check_told, past_length
from clampdown.steering.receipt import Receipt
from clampdown.steering.rows import Rows
from clampdown.steering.weights import check_weights


class Steering:
    """A context in which every forward call of a model is steered by its rows' recipes.

    One recipe (or None) steers all rows; a list steers row r by its r-th entry, and a call with another number of rows
    is refused. Nothing outlives the context. A model is steered once at a time: another thread that steers it, or runs
    it by a function of ours, waits until the context ends; one that calls it by itself meanwhile gets an error.

    prompt_lengths: real tokens of each row that are its prompt, where the calls themselves don't tell.
    user_turns: of each row the tokens [start, end) of what the user says, which some windows need.
    apart: a row whose residual is not finite gets its error in `errors`, and the others go on; else all fail with it.
    decided: gates were asked by the caller, who says by `decide` what they said: a recipe given here steers its row.
        Else those that score prompts are asked in the first call, which must hold whole prompts: these are read once
        more before. A row whose `user_turns` are not known is read as one request.

    Raises:
        ClampdownError: a recipe is for another model, an edit does not fit it, or its window needs user turns that are
            not known; on entering, this thread steers the model already.
    """

    def __init__(
        self,
        model: ChatModel,
        recipes: Recipe | Sequence[Recipe | None] | None,
        *,
        prompt_lengths: Sequence[int] | None = None,
        user_turns: Sequence[Spans | None] | None = None,
        saes: Sequence[SAE] = (),
        apart: bool = False,
        decided: bool = False,
    ) -> None:
        self.model = model
        self.per_row = isinstance(recipes, Sequence)
        given = list(recipes) if isinstance(recipes, Sequence) else [recipes]
        told = [None if decided else unasked(recipe) for recipe in given]
        waits = not decided and any(map(asks, given))
        self._asking = Asking(model, given, user_turns) if waits else None
        steered = [
            None if (waits and asks(recipe)) or (decision and not decision.steers) else recipe
            for recipe, decision in zip(given, told, strict=True)
        ]
        self._compile = partial(compiled, model, saes=saes)
        self.rows = Rows(steered, self._compile, Finite(apart))
        for recipe in self._asking.gates if self._asking else ():
            self._compile(recipe)  # so that what does not fit is told now
        self.decide(told)
        self._check_told(user_turns)
        self.tracker = PlaceTracker(prompt_lengths, user_turns)
        self._expected: Places | None = None
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
                self.settle()
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
        for layer in sorted({*self.rows.layers, *(self._asking.layers if self._asking else ())}):
            on.callback(blocks[layer].register_forward_hook(self._hook(layer)).remove)

    def _mine(self, hook: Any) -> Any:
        """The hook, for calls of the thread that steers; those of another, which it would steer too, are refused."""

        def guarded(*call: Any) -> Any:
            if self._turn.steering is not self:
                return None  # left behind where starting or ending was interrupted
            self._turn.check_mine()
            return hook(*call)

        return guarded

    def fan_out(
        self,
        rows: Tensor,
        prompt_lengths: Sequence[int] | None = None,
        user_turns: Sequence[Spans | None] | None = None,
    ) -> None:
        """Go on with a new batch whose row r continues row rows[r] of this one, its recipe and a receipt of its own.

        For a beginning that several rows share, run once; call it before any row was left out.
        """
        self.rows.fan_out(rows)
        self.per_row = True
        self._check_told(user_turns)
        self.tracker.select(rows, prompt_lengths, user_turns)

    def _check_told(self, user_turns: Sequence[Spans | None] | None) -> None:
        if user_turns is not None:
            recipes = self.rows.recipes
            check_told(recipes if self.per_row else recipes * len(user_turns), user_turns)

    def go_on_from(self, begun: Sequence["Steering"]) -> None:
        """Let row r go on from what was done to the only row of begun[r], which was kept apart; before any call.

        These stay as they are. What their receipts say of a recipe is forgotten: each row has its own.
        """
        for steering in begun:
            steering.settle()
        self.rows.go_on_from([steering.rows for steering in begun])

    def join(self, other: "Steering") -> None:
        """Go on with the rows of both, these first; neither may be on. Rows that left before are forgotten."""
        if self._on is not None or other._on is not None:
            raise ClampdownError("steerings are joined while they are off")
        self.rows.join(other.rows)
        self.per_row = True

    def decide(self, decisions: Sequence[Decision | None]) -> None:
        """Say what the gates of all rows said, for their receipts; None where a row has none."""
        self.rows.decisions = {row: told for row, told in enumerate(decisions) if told is not None}

    def go_on_under(self, recipes: Sequence[Recipe | None]) -> None:
        """Let the rows be under these recipes from now on, as gates decided; before any left, and while this is off."""
        if list(recipes) != self.rows.recipes:
            self.rows.own(recipes, self._compile)
            self.per_row = True

    def expect(self, places: Places) -> None:
        """Say where the columns of the next call lie, for a caller who knows; else the call's own mask tells."""
        self._expected = places

    def receipts(self) -> list[Receipt]:
        """One receipt for each row seen so far."""
        return self.rows.receipts()

    def settle(self) -> None:
        """Look now whether all so far was finite, which an accelerator must be waited for."""
        self.rows.finite.settle()

    @property
    def errors(self) -> dict[int, str]:
        """Why rows failed, by their number, where they are kept `apart`; complete once the context ended."""
        return self.rows.finite.errors

    def _called(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = list(inspect.signature(type(module).forward).parameters)[1:] if args else []
        self._asked = {"attention_mask": (dict(zip(names, args, strict=False)) | kwargs).get("attention_mask")}

    def _before(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and isinstance(kwargs.get("attention_mask"), dict):
            # A model that also takes pictures hands its language model finished masks, one for each kind of block.
            kwargs = {**kwargs, **asked}
        expected, self._expected = self._expected, None
        self.places = self.tracker.places(args, kwargs) if expected is None else expected
        rows, tally = len(self.places.real), self.rows.tally
        given = len(self.rows.recipes if tally is None else tally.alive)
        if self.per_row and rows != given:
            raise ClampdownError(f"{given} recipes were given for a batch of {rows} rows; give one for each")
        if tally is not None and rows != given:
            raise ClampdownError(f"the batch changed from {given} to {rows} rows inside one steering context")
        if self._asking is not None:
            self._ask(past_length(kwargs.get("past_key_values")))
        self.rows.saw(self.places)

    def _ask(self, past: int) -> None:
        """Ask the gates before the prompts are read, as if this were not there; then let the rows be as they say."""
        assert self._asking is not None and self.tracker.last_ids is not None
        self._turn.steering = None
        try:
            told = self._asking.ask(self.tracker.last_ids, past, self.places)
        finally:
            self._turn.steering = self
        if told is not None:
            forced, count = self.rows.decisions, len(told)
            given = self._asking.recipes if len(self._asking.recipes) == count else self._asking.recipes * count
            told = [one or forced.get(row if self.per_row else 0) for row, one in enumerate(told)]
            self.go_on_under([r if d is None or d.steers else None for r, d in zip(given, told, strict=True)])
            self.decide(told)

    def _hook(self, layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            x = residual.block_output(output)
            changed = self.rows.steer(layer, x, self.places) if layer in self.rows.layers else None
            return None if changed is None else residual.with_block_output(output, changed)

        return self._mine(hook)


def compiled(model: ChatModel, recipe: Recipe, saes: Sequence[SAE] = ()) -> list[CompiledEdit]:
    """A recipe's edits made ready for a model. Raises ClampdownError where they do not fit it."""
    check_weights(model, recipe)
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
