"""One pass of the model over a batch's tokens, which lie end to end: the table of those that are edited, and read."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.models.prompt import Spans
from clampdown.plugins.vllm.gating import look
from clampdown.plugins.vllm.prefix_keys import steers
from clampdown.plugins.vllm.recipes import Recipes
from clampdown.plugins.vllm.requests import Steered
from clampdown.recipe import Positions
from clampdown.steering.apply import apply
from clampdown.steering.positions import Places, Windows


class Stretch(NamedTuple):
    """The tokens of one request in a pass: `tokens` of them from column `column` on, the first at place `start`."""

    request: Steered
    column: int
    start: int
    tokens: int

    @property
    def end(self) -> int:
        return self.start + self.tokens


class _Table(NamedTuple):
    """Tokens that are edited, [token] each: column, recipe by number, weight of Δ, row, and the norm of a sink."""

    column: Tensor
    recipe: Tensor
    weight: Tensor | None
    row: Tensor
    limit: Tensor | None
    counts: Tensor  # bool: not in a receipt yet
    place: Tensor  # among all edited tokens

    def of(self, chosen: Tensor) -> "_Table":
        return _Table(*(None if one is None else one[chosen] for one in self))

    def to(self, device: torch.device) -> "_Table":
        return _Table(*(None if one is None else one.to(device, non_blocking=True) for one in self))


class Pass:
    """What is done to the tokens of some requests while the model runs once, or twice where a gate opens.

    Attributes:
        layers: those at which something is done.
    """

    def __init__(self, recipes: Recipes, stretches: Sequence[Stretch], device: torch.device) -> None:
        self.recipes, self.stretches, self.device = recipes, list(stretches), device
        recipes.hold([stretch.request.asked.recipe for stretch in stretches])
        for stretch in self.stretches:
            self._begin(stretch)
        self._lay(reads=True)

    def _begin(self, stretch: Stretch) -> None:
        """A gate that would have to see what the cache holds can't be evaluated: it is open."""
        request = stretch.request
        if not request.counted and stretch.start:  # what is steered in the cache was steered for this request
            request.seen = request.counted = stretch.start
            request.edited = edited_before(request, stretch.start)
        if request.reading is not None and not request.reading.begin(stretch.start):
            request.decide_blindly()

    def _lay(self, *, reads: bool) -> None:
        """Make the tables anew, under the recipes as gates have decided by now; `reads`: others read their prompts."""
        self._reads = [stretch for stretch in self.stretches if stretch.request.reading is not None] if reads else []
        self._looks = self._looked_at()
        self._tables = self._edited()
        self.layers = {*self._tables, *self._looks}
        rows = len(self.stretches)
        self._told = torch.zeros(rows, 3, dtype=torch.float64, device=self.device)
        self._bad = torch.zeros(rows, dtype=torch.long, device=self.device)

    def _looked_at(self) -> dict[int, list[tuple[list[Stretch], int]]]:
        """By layer: the stretches that a gate reads there, and by which of its parts."""
        by_gate: dict[str, list[Stretch]] = {}
        for stretch in self._reads:
            assert stretch.request.reading is not None
            by_gate.setdefault(stretch.request.reading.gate.sha256, []).append(stretch)
        found: dict[int, list[tuple[list[Stretch], int]]] = {}
        for some in by_gate.values():
            reading = some[0].request.reading
            assert reading is not None
            for number, part in enumerate(reading.gate.parts):
                found.setdefault(part.part.layer, []).append((some, number))
        return found

    def _edited(self) -> dict[int, _Table]:
        """The tokens that are edited at each layer, as far as their places tell."""
        rows = [row for row, (request, *_) in enumerate(self.stretches) if request.recipe and not request.waits]
        if not rows:
            return {}
        some = [self.stretches[row] for row in rows]
        counts = torch.tensor([stretch.tokens for stretch in some])
        of = torch.repeat_interleave(torch.arange(len(some)), counts)
        within = torch.arange(len(of)) - (counts.cumsum(0) - counts)[of]
        told = torch.tensor(
            [
                (stretch.column, stretch.start, len(stretch.request.prompt), stretch.request.marked, row,
                 self.recipes.number(stretch.request.asked.recipe))
                for row, stretch in zip(rows, some, strict=True)
            ]
        )[of]  # fmt: skip
        position = told[:, 1] + within
        windows = _windows(tuple(stretch.request.asked.recipe.positions for stretch in some)).rows(of)
        user = _said(some) if windows.turns else None
        places = Places(torch.ones(len(of), 1, dtype=torch.bool), position[:, None], told[:, 2:3], user=user)
        chosen, weight = places.chosen(windows)[:, 0], places.weights(windows)
        if not chosen.any():
            return {}
        whole = _Table(
            column=told[:, 0] + within,
            recipe=told[:, 5],
            weight=None if weight is None else weight[:, 0],
            row=told[:, 4],
            limit=windows.sink_norm[:, 0] if windows.limits else None,
            counts=position >= told[:, 3],
            place=torch.arange(len(of)),
        ).of(chosen)
        whole = whole._replace(place=torch.arange(len(whole.place)))
        self._done = torch.zeros(len(whole.place), dtype=torch.bool, device=self.device)
        tables = {}
        for layer in self.recipes.banks:
            has = self.recipes.has(layer)[whole.recipe]
            if has.any():
                tables[layer] = (whole if has.all() else whole.of(has)).to(self.device)
        return tables

    def at(self, layer: int, hidden: Tensor, residual: Tensor | None) -> None:
        """Edit the residual stream after a layer, which is hidden + residual [token, d_model], in place; gates read."""
        if layer in self._looks:
            x = hidden if residual is None else hidden + residual
            for stretches, part in self._looks[layer]:
                self._look(stretches, part, x)
        table = self._tables.get(layer)
        if table is not None:
            self._edit(layer, table, hidden, residual)

    def _look(self, stretches: Sequence[Stretch], part: int, x: Tensor) -> None:
        readings = [stretch.request.reading for stretch in stretches]
        columns = [
            [stretch.column + own for own in reading.columns(part, stretch.start, stretch.end)]
            for reading, stretch in zip(readings, stretches, strict=True)
            if reading
        ]
        look([reading for reading in readings if reading], part, x, columns)

    def _edit(self, layer: int, table: _Table, hidden: Tensor, residual: Tensor | None) -> None:
        bank, column = self.recipes.banks[layer], table.column
        x = hidden[column] if residual is None else hidden[column] + residual[column]
        norm = x.float().norm(dim=-1)
        inside = torch.ones_like(table.counts) if table.limit is None else ~(norm > table.limit)
        under = table.recipe if table.limit is None else torch.where(inside, table.recipe, bank.nobody)
        made = apply(x, bank, under, table.weight, norm)
        finite = torch.isfinite(made.size)
        self._bad.index_add_(0, table.row, (inside & ~finite).to(self._bad))
        inside = inside & finite
        changed = torch.where(inside[:, None], made.x, x)
        if residual is None:
            hidden[column] = changed
        else:  # the sum is what was computed, to the bit
            residual[column], hidden[column] = changed, 0.0
        new, self._done[table.place] = inside & ~self._done[table.place], self._done[table.place] | inside
        ratio = torch.where(inside, made.ratio, 0.0)
        counted = torch.stack([(new & table.counts).double(), (inside & table.counts).double()], 1)
        more = torch.cat([counted, (ratio * table.counts).double()[:, None]], 1)
        self._told.index_add_(0, table.row, more)

    def again(self) -> bool:
        """The pass is over. Let gates decide that have read their prompts; whether it is to be made again, steered."""
        opened = False
        for stretch in self._reads:
            reading = stretch.request.reading
            assert reading is not None
            reading.went_to(stretch.end)
            if stretch.end >= len(stretch.request.prompt):
                last = stretch.request.asked.recipe.positions.prompt == "last"
                opened |= stretch.request.decide(last or stretch.start == 0)
        if opened:
            self._lay(reads=False)
        return opened

    def end(self) -> None:
        """Write down what was done."""
        self._tell_bad()
        for stretch, (edited, edits, push) in zip(self.stretches, self._told.tolist(), strict=True):
            request = stretch.request
            request.seen += max(stretch.end - max(stretch.start, request.counted), 0)
            request.counted = max(request.counted, stretch.end)
            request.marked = 0 if request.restarts else max(request.marked, stretch.end)
            request.edited += int(edited)
            request.edits += int(edits)
            request.push += push

    def _tell_bad(self) -> None:
        for row in self._bad.nonzero()[:, 0].tolist():
            request = self.stretches[row].request
            request.error = request.error or (
                f"recipe {request.asked.recipe.name}: steering gave a residual that is not finite or too large; "
                "nothing was returned"
            )


@lru_cache(maxsize=8)
def _windows(rows: tuple[Positions, ...]) -> Windows:
    """The windows of a batch's rows: most passes have those of the pass before."""
    return Windows.of(rows)


def edited_before(request: Steered, start: int) -> int:
    """How many of the tokens before a place the request's window holds, as far as places tell."""
    if not steers(request.asked):
        return 0
    place = torch.arange(start)[:, None]
    windows = Windows.of([request.asked.recipe.positions])
    user = _said([Stretch(request, 0, 0, start)]) if windows.turns else None
    length = torch.tensor([[len(request.prompt)]])
    return int(Places(torch.ones_like(place, dtype=torch.bool), place, length, user=user).chosen(windows).sum())


def _said(stretches: Sequence[Stretch]) -> Tensor:
    """Whether each token is in a user's turn, [token, 1]; none is where that is not known, and not asked."""
    told: list[bool] = []
    for stretch in stretches:
        spans: Spans = stretch.request.prompt.user or ()
        told += [any(a <= place < b for a, b in spans) for place in range(stretch.start, stretch.end)]
    return torch.tensor(told)[:, None]
