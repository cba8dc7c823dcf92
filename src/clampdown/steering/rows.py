"""The rows of a running batch: under which recipe each is, in which window, and what was done to it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.recipe import Recipe
from clampdown.steering.apply import apply
from clampdown.steering.bank import Bank, Under
from clampdown.steering.decision import Decision
from clampdown.steering.edits import CompiledEdit
from clampdown.steering.finite import Finite
from clampdown.steering.positions import Places, Windows
from clampdown.steering.receipt import Receipt
from clampdown.steering.tally import Tally

_UNREAD = 64
"""Steps on an accelerator after which it is asked whether the residuals were finite; it is asked at the end anyway."""


@dataclass
class _Layer:
    """What is done at one layer: the edits, and which recipes have any."""

    bank: Bank
    has: Tensor  # bool [recipe], and False for nobody
    all_have: bool


@dataclass
class _Now:
    """The rows of the batch as it is: each one's recipe [row] and window; `one` is the recipe where all share it."""

    owner: Tensor
    windows: Windows
    one: int | None

    def of(self, rows: Tensor) -> "_Now":
        """Those of some rows, or of some several times over."""
        owner = self.owner[rows.to(self.owner.device)]
        return _Now(owner, self.windows if self.one is not None else self.windows.rows(rows), self.one)


class Rows:
    """Rows that may leave, part and be joined by others while the batch runs.

    Attributes:
        recipes: of every row there ever was.
        kinds: the recipes that differ, and `edits` what each does.
        tally: what was done to every row there ever was; None before the first call.
        decisions: what gates said, by row; a row whose gate is shut has no recipe.
    """

    def __init__(
        self, recipes: Sequence[Recipe | None], compiled: Callable[[Recipe], list[CompiledEdit]], finite: Finite
    ) -> None:
        self.tally: Tally | None = None
        self.finite = finite
        self.decisions: dict[int, Decision] = {}
        self._edited: Tensor | None = None  # what lower layers edited in this call
        self._of: Tensor | None = None
        self.own(recipes, compiled)

    def own(self, recipes: Sequence[Recipe | None], compiled: Callable[[Recipe], list[CompiledEdit]]) -> None:
        """Let the rows be under these recipes from now on."""
        self.recipes = list(recipes)
        numbers: dict[Recipe, int] = {}
        for recipe in self.recipes:
            if recipe is not None:
                numbers.setdefault(recipe, len(numbers))
        self.kinds = list(numbers)
        self.edits = [compiled(recipe) for recipe in self.kinds]
        self.owner = torch.tensor([len(numbers) if r is None else numbers[r] for r in self.recipes])
        self.layers = {layer: self._at(layer) for layer in sorted({e.layer for some in self.edits for e in some})}
        self._now: _Now | None = None

    def _at(self, layer: int) -> _Layer:
        here = [[edit for edit in edits if edit.layer == layer] for edits in self.edits]
        return _Layer(Bank(here), torch.tensor([*map(bool, here), False]), all(here))

    def saw(self, places: Places, of: Int[Tensor, " line"] | None = None) -> None:
        """A forward call begins, with such places [row, column].

        of: where tokens of all rows lie end to end (one column, a line a token), each line's row among those of now.
        """
        if self.tally is None:
            self.tally = Tally(len(places.real) if of is None else len(self.recipes), places.real.device)
        self._edited, self._of = None, of
        self.tally.saw(places.real, of)
        if len(self.finite) >= _UNREAD:
            self.finite.settle()

    def steer(
        self, layer: int, x: Float[Tensor, "line column d_model"], places: Places
    ) -> Float[Tensor, "line column d_model"] | None:
        """The residual [row, column, d_model] with every row's edits at this layer; None where none are known to be.

        Raises:
            ClampdownError: an edited residual is not finite, where that can be asked at once; see `Finite`.
        """
        now, made = self._of_now(x.device), self.layers[layer]
        now = now if self._of is None else now.of(self._of)
        norm = x.float().norm(dim=-1) if now.windows.limits or x.shape[1] == 1 else None
        here = norm if norm is None else norm.to(places.real.device)
        mask = places.chosen(now.windows, here).to(x.device)
        if not (made.all_have and now.one is not None):
            made.has = made.has.to(x.device)
            mask = mask & made.has[now.owner][:, None]
        if _free_to_ask(x) and not mask.any():
            return None
        weight = None if (found := places.weights(now.windows)) is None else found.to(x.device)
        if norm is None or x.shape[1] > 1:
            return self._tokens(layer, x, now, mask, weight)
        return self._token(layer, x, now, mask, weight, norm)

    def _tokens(self, layer: int, x: Tensor, now: _Now, mask: Tensor, weight: Tensor | None) -> Tensor:
        """Several columns: only the places to edit are computed, for many may be padding."""
        under: Under = now.owner[:, None].expand(mask.shape)[mask] if now.one is None else now.one
        made = apply(x[mask], self.layers[layer].bank, under, None if weight is None else weight[mask])
        changed, ratio = x.clone(), x.new_zeros(mask.shape, dtype=torch.float32)
        size = torch.zeros_like(ratio)
        changed[mask], ratio[mask], size[mask] = made.x, made.ratio, made.size
        return self._looked_at(layer, x, changed, mask, ratio, size.amax(-1), True)

    def _token(self, layer: int, x: Tensor, now: _Now, mask: Tensor, weight: Tensor | None, norm: Tensor) -> Tensor:
        """One column: all rows are computed, and nothing is asked that an accelerator would have to wait for."""
        bank, flat = self.layers[layer].bank, mask[:, 0]
        under: Under = torch.where(flat, now.owner, bank.nobody) if now.one is None else now.one
        made = apply(x[:, 0], bank, under, None if weight is None else weight[:, 0], norm[:, 0])
        zero = norm.new_zeros(())
        ratio = torch.where(mask, made.ratio[:, None], zero)
        changed = torch.where(mask[..., None], made.x[:, None], x)
        return self._looked_at(layer, x, changed, mask, ratio, torch.where(flat, made.size, zero), _free_to_ask(x))

    def _looked_at(
        self, layer: int, x: Tensor, changed: Tensor, mask: Tensor, ratio: Tensor, size: Tensor, at_once: bool
    ) -> Tensor:
        """The change, counted; undone in rows where it is not finite and that can be asked at once. size: [row]"""
        assert self.tally is not None
        numbers = self.tally.alive if self._of is None else self.tally.alive[self._of.cpu()]
        if at_once:
            bad = self.finite.look(size, numbers, partial(self._error, layer))
            if bad is not None:
                mask, ratio = mask & ~bad[:, None], ratio.masked_fill(bad[:, None], 0.0)
                changed = torch.where(bad[:, None, None], x, changed)
        else:
            self.finite.later(size, numbers, partial(self._error, layer))
        self._record(mask, ratio)
        return changed

    def keep(self, rows: Int[Tensor, " some"]) -> None:
        """Go on with these rows of the batch only; the receipts of the others stand."""
        if self.tally is not None:
            self.tally.keep(rows)
        self._now = None

    def fan_out(self, rows: Int[Tensor, " some"]) -> None:
        """Go on with a new batch whose row r continues row rows[r] of this one; no row was left out before."""
        if self.tally is not None and len(self.tally.alive) != len(self.tally):
            raise ClampdownError("rows were left out already; a batch can be fanned out before that only")
        index = rows.cpu()
        self.finite.fan_out(index)
        self.decisions = _moved(self.decisions, index)
        self.owner, self._now = self._owners()[index], None
        self.recipes = [self.recipes[i] if i < len(self.recipes) else self.recipes[0] for i in index.tolist()]
        if self.tally is not None:
            self.tally.fan_out(index)

    def go_on_from(self, begun: Sequence["Rows"]) -> None:
        """Let row r go on, under its own recipe, from what was done to the only row of begun[r]; before any call."""
        self.tally = Tally.of([rows.tally for rows in begun if rows.tally is not None])
        self.finite.errors |= {row: rows.finite.errors[0] for row, rows in enumerate(begun) if rows.finite.errors}

    def join(self, other: "Rows") -> None:
        """Go on with the rows of both, these first; the rows that left before are forgotten, receipts and all."""
        assert self.tally is not None and other.tally is not None
        known = dict(zip([*self.kinds, *other.kinds], [*self.edits, *other.edits], strict=True))
        recipes = [recipe for rows in (self, other) for recipe in rows.recipes_of_now()]
        self.finite = self.finite.joined(self.tally.alive, other.finite, other.tally.alive)
        more = _moved(other.decisions, other.tally.alive, start=len(self.tally.alive))
        self.decisions = _moved(self.decisions, self.tally.alive) | more
        self.tally = self.tally.joined(other.tally)
        self.own(recipes, known.__getitem__)

    def recipes_of_now(self) -> list[Recipe | None]:
        """The recipe of each row that is still in the batch."""
        assert self.tally is not None
        whole = [*self.kinds, None]
        return [whole[number] for number in self._owners()[self.tally.alive].tolist()]

    def receipts(self) -> list[Receipt]:
        """One receipt for each row seen so far."""
        if self.tally is None:
            return [Receipt() for _ in self.recipes]
        self.finite.settle()
        found, apart = [], len(self.owner) == len(self.tally)
        for row, (owner, (seen, edited, push)) in enumerate(
            zip(self._owners().tolist(), self.tally.rows(), strict=True)
        ):
            receipt = Receipt(tokens_seen=seen)
            if owner != len(self.kinds):
                push = push if math.isfinite(push) else 0.0  # only of a row that has an error
                path = "+".join(dict.fromkeys(edit.path for edit in self.edits[owner])) or "none"
                receipt = Receipt(self.kinds[owner].sha256, seen, edited, push, path)
            decision = self.decisions.get(row if apart else 0)
            found.append(receipt if decision is None else decision.noted(receipt))
        return found

    def _owners(self) -> Tensor:
        """Each row's recipe, as its place among `kinds`, of all rows there ever were; one may stand for all."""
        if self.tally is None or len(self.owner) == len(self.tally):
            return self.owner
        return self.owner.expand(len(self.tally))

    def _of_now(self, device: torch.device) -> _Now:
        """The recipe and the window of each row of the batch as it is now."""
        if self._now is None or self._now.owner.device != device:
            assert self.tally is not None
            with torch.inference_mode(False):  # it serves calls in and out of it
                numbers = self._owners()[self.tally.alive].tolist()
                positions = [None if i == len(self.kinds) else self.kinds[i].positions for i in numbers]
                one = numbers[0] if len(set(numbers)) == 1 and numbers[0] < len(self.kinds) else None
                windows = Windows.of(positions[:1] if one is not None else positions).to(device)
                self._now = _Now(torch.tensor(numbers, device=device), windows, one)
        return self._now

    def _error(self, layer: int, row: int) -> str:
        recipe = self.kinds[int(self._owners()[row])]
        return (
            f"recipe {recipe.name}: steering at layer {layer} gave a residual that is not finite or too large; nothing "
            "was returned"
        )

    def _record(self, mask: Tensor, ratio: Tensor) -> None:
        assert self.tally is not None
        if self._edited is None:
            self._edited = new = mask
        else:
            so_far = self._edited.to(mask.device)
            new, self._edited = mask & ~so_far, mask | so_far
        self.tally.edited(new, mask, ratio, self._of)


def _moved(decisions: dict[int, Decision], rows: Tensor, start: int = 0) -> dict[int, Decision]:
    """Those of the new rows from `start` on, which continue these."""
    return {new: decisions[old] for new, old in enumerate(rows.tolist(), start) if old in decisions}


def _free_to_ask(x: Tensor) -> bool:
    """Whether a number can be read from the device without waiting for all that it still has to do."""
    return x.device.type == "cpu"
