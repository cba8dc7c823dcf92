"""Several recipes on one model: what they share runs once.

Up to the lowest edited layer L the residual does not depend on the recipe: those blocks run once, and each recipe runs
only the blocks above. Against C separate runs of n blocks and a head worth h blocks, that costs
((L + 1) / C + n − L − 1 + h) / (n + h). A prefix that all rows begin with (few-shot examples) runs once too: up to L
for all recipes together, above it once for each; its keys and values then serve every batch.

In float32 the scores are those of separate runs, to rounding. In bfloat16 they are so to the bit without a shared
prefix; with one, to a quarter of a nat for each token of an answer, since its logits lie up to an eighth apart. The
first token of a generated text is within half a nat for the five likeliest, so texts may part from those of separate
runs, as they do when a batch has another shape.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from clampdown.engine.blocks import Split
from clampdown.engine.gating import Gates
from clampdown.engine.padding import RightPadded
from clampdown.engine.prefill import opened as read_gated
from clampdown.engine.prefilled import Opened
from clampdown.engine.sweep_rows import Asked, head_at, put_in
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import Batch, ChatModel
from clampdown.models.key_values import copied, empty_cache, lower_part, put_lower, repeat_rows
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering
from clampdown.steering.decision import unasked
from clampdown.steering.gates.asking import asks
from clampdown.steering.gates.reading import Reading
from clampdown.steering.positions import Places
from clampdown.steering.receipt import Receipt, joined

_Beginning: TypeAlias = tuple[Any, Receipt | None]
"""What the upper blocks keep of the prefix, and its receipt; of no prefix nothing."""


class Prefilled(NamedTuple):
    """A cache, the steering it was made under, and the receipt of the prefix, which the steering did not see.

    Where a gate decided, the prompts were read whole by themselves, and in the cache's place is what that left.
    """

    steering: Steering
    cache: Any
    opening: Receipt | None

    @property
    def gated(self) -> Opened | None:
        return self.cache if isinstance(self.cache, Opened) else None


class Sweep:
    """Several recipes on one model, beginning with the blocks that all of them leave alone.

    Attributes:
        layer: the lowest layer that any of the recipes edits; the last one where none does.
        prefix: what all rows begin with, run once; empty where the model does not bear it.
        saes: used by name before any is loaded.
    """

    def __init__(
        self,
        model: ChatModel,
        recipes: Sequence[Recipe | None],
        prefix: Sequence[int] = (),
        *,
        saes: Sequence[SAE] = (),
    ) -> None:
        self.model, self.recipes, self.saes = model, list(recipes), saes
        self.prefix = list(prefix) if prefix and bearing(model.hf).parts else []
        self._turns = user_turns(prefix)
        self.layer = min((e.layer for r in self.recipes if r for e in r.edits), default=model.n_layers - 1)
        self.split = Split(model, self.layer)  # tells at once where a model's upper blocks can't be run alone
        self._asks = [unasked(recipe) is None and asks(recipe) for recipe in self.recipes]
        self._early: dict[str, list[Tensor]] = {}  # what gates read of the prefix, by the hash of their file
        self._below: Any = None
        self._plain: _Beginning = None, None
        self._above: list[_Beginning] = [self._plain] * len(self.recipes)
        if self.prefix:
            self._run_prefix()

    @torch.inference_mode()
    def logits(
        self, rows: Sequence[Sequence[int]], prompts: Sequence[int], *, answers_only: bool = False
    ) -> Iterator[tuple[Tensor, list[Receipt]]]:
        """For each recipe the rows' logits, and a receipt for each row.

        Gates decide at each prompt's end, all of them from one unsteered pass; of a gated recipe only the rows whose
        gate is open are run again.

        Args:
            rows: token ids, each beginning with the prefix, and with the same user's turns in it.
            prompts: how many of each row's tokens are its prompt; the rest are steered as an answer.
            answers_only: run the head only from a prompt's last token on.

        Yields:
            Logits [row, position, vocabulary], the prefix left out and the rows padded on the right; or with
            `answers_only` those of row after row, [position, vocabulary].
        """
        known = len(self.prefix)
        batch = self.model.pad([row[known:] for row in rows], side="right")
        mask = torch.cat([batch.attention_mask.new_ones(len(rows), known), batch.attention_mask], dim=1)
        # No mask for the model: causal attention does not see padding on the right, and runs faster without.
        columns = torch.arange(known, mask.shape[1], device=mask.device)
        inputs = {"input_ids": batch.input_ids, "position_ids": columns.expand(len(rows), -1)}
        spans = [(p - known - 1, len(row) - known) for row, p in zip(rows, prompts, strict=True)]
        asked = Asked(rows, prompts, mask, inputs, spans if answers_only else None)
        gates = self._gates_of([row[:length] for row, length in zip(rows, prompts, strict=True)])
        readings = [reading for gate in gates.values() for reading in gate.readings(known, self._early)]
        with _reading(readings, range(self.layer + 1)):
            x = self.split.lower(inputs | _with(_repeated(self._below, len(rows))))
        plain = None
        if gates:
            with _reading(readings, range(self.layer + 1, self.model.n_layers)):
                plain = self._upper(asked, x, None, self._plain)
        for arm, (recipe, above) in enumerate(zip(self.recipes, self._above, strict=True)):
            if plain is not None and recipe is None:
                yield plain
            elif plain is None or arm not in gates:
                yield self._upper(asked, x, recipe, above)
            else:
                again = gates[arm].decide()
                steered = self._upper(asked.of(again), x[again], recipe, above, decided=True) if again else None
                logits, receipts = put_in(asked, plain, again, steered)
                told = [d.noted(r) if d else r for d, r in zip(gates[arm].decisions, receipts, strict=True)]
                yield logits, told

    def _gates_of(self, prompts: Sequence[Sequence[int]]) -> dict[int, Gates]:
        """The gates that must score these prompts, by their recipe's place."""
        some = [arm for arm, asks in enumerate(self._asks) if asks]
        return {arm: Gates(self.model, prompts, [self.recipes[arm]] * len(prompts)) for arm in some}

    def _upper(
        self, asked: Asked, x: Tensor, recipe: Recipe | None, above: _Beginning, decided: bool = False
    ) -> tuple[Tensor, list[Receipt]]:
        """Logits and receipts of rows under one recipe, from the residual x after `layer`."""
        cache, opening = above
        turns, count = [user_turns(row) for row in asked.rows], len(asked.rows)
        steering = Steering(self.model, [recipe] * count, user_turns=turns, saes=self.saes, decided=decided)
        steering.tracker = RightPadded(asked.prompts, asked.mask, turns)
        with steering, head_at(self.model, asked.spans):
            logits = self.split.upper(x, asked.inputs | _with(_repeated(cache, count))).logits
        receipts = [joined([opening, taken]) if opening else taken for taken in steering.receipts()]
        return logits[0] if asked.spans else logits, receipts

    def laid_out(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Rows that begin with the prefix as one batch to decode from: the padding lies between it and the rest."""
        known = len(self.prefix)
        rest = self.model.pad([row[known:] for row in rows])
        prefix = torch.tensor([self.prefix] * len(rows), dtype=torch.long, device=rest.input_ids.device)
        mask = torch.cat([torch.ones_like(prefix), rest.attention_mask], dim=1)
        return Batch(torch.cat([prefix, rest.input_ids], dim=1), mask)

    @torch.no_grad()
    def prefilled(self, rows: Sequence[Sequence[int]]) -> Iterator[Prefilled]:
        """For each recipe a cache of all columns of the rows as `laid_out` but the last, and a steering that goes on.

        Close the iterator after the last: until then the last recipe's steering stays on. A gated recipe's rows are
        read by themselves, for its gate is asked at each prompt's end.
        """
        batch, known, prompts = self.laid_out(rows), len(self.prefix), [len(row) for row in rows]
        turns = [user_turns(row) for row in rows]
        inputs = {
            "input_ids": batch.input_ids[:, known:-1],
            "attention_mask": batch.attention_mask[:, :-1],
            "position_ids": (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)[:, known:-1],
        }
        any_left = inputs["input_ids"].shape[1] > 0
        below = self._begun(self._below, len(rows))
        x = self.split.lower(inputs | _with(below)) if any_left else None
        for recipe, gated, (kept, opening) in zip(self.recipes, self._asks, self._above, strict=True):
            under = [recipe] * len(rows)
            if gated:
                with read_gated(self.model, rows, under, room=1, share=False) as begun:
                    yield Prefilled(begun.steering, begun, None)
                continue
            cache = self._begun(kept, len(rows))
            with Steering(self.model, under, prompt_lengths=prompts, user_turns=turns, saes=self.saes) as steering:
                if x is not None:
                    self.split.upper(x, inputs | _with(cache) | {"logits_to_keep": 1})
                put_lower(cache, lower_part(below, self.layer))
                yield Prefilled(steering, cache, opening)

    @torch.inference_mode()
    def opened(self, prefilled: Prefilled, batch: Batch) -> Opened:
        """Rows `laid_out` in a batch, whose last token is now read too under one recipe: ready to be answered."""
        if prefilled.gated is not None:
            return prefilled.gated
        steering, cache = prefilled.steering, prefilled.cache
        real, length = batch.attention_mask[:, -1:].bool(), batch.attention_mask.sum(-1, keepdim=True)
        steering.expect(Places(real, length - 1, length))
        out = self.model.hf(
            input_ids=batch.input_ids[:, -1:],
            attention_mask=batch.attention_mask,
            position_ids=length - 1,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return Opened(steering, out.past_key_values, out.logits, batch.attention_mask, length - 1, ())

    @torch.no_grad()
    def _run_prefix(self) -> None:
        inputs = {"input_ids": self.model.pad([self.prefix]).input_ids}
        self._below = empty_cache(self.model.hf)
        gates = self._gates_of([[*self.prefix, *self.prefix[-1:]]])  # a prompt of one token more: all of it is begun
        readings = [reading for gate in gates.values() for reading in gate.readings(len(self.prefix))]
        with _opening(readings, range(self.layer + 1)):
            x = self.split.lower(inputs | _with(self._below))
        if gates:
            with _opening(readings, range(self.layer + 1, self.model.n_layers)):
                self._plain = self._prefix_under(None, x, inputs)
            self._early = {reading.gate.sha256: reading.early for reading in readings}
        self._above = [
            self._plain if gates and recipe is None else self._prefix_under(recipe, x, inputs, arm in gates)
            for arm, recipe in enumerate(self.recipes)
        ]

    def _prefix_under(
        self, recipe: Recipe | None, x: Tensor, inputs: dict[str, Any], decided: bool = False
    ) -> _Beginning:
        """The upper blocks' cache of the prefix under one recipe, and its receipt."""
        cache = empty_cache(self.model.hf)
        # Two more than there are: all of it is prompt, and none of it a prompt's last token.
        lengths, turns = [len(self.prefix) + 2], [self._turns]
        steering = Steering(
            self.model, [recipe], prompt_lengths=lengths, user_turns=turns, saes=self.saes, decided=decided
        )
        with steering:
            self.split.upper(x, inputs | _with(cache) | {"logits_to_keep": 1})
        return cache, steering.receipts()[0]

    def _begun(self, cache: Any, rows: int) -> Any:
        """The prefix's cache for so many rows, or an empty one."""
        return empty_cache(self.model.hf) if cache is None else _repeated(cache, rows)


@contextmanager
def _reading(readings: Sequence[Reading], layers: range) -> Iterator[None]:
    """Within, the model reads these layers of the prompts; the blocks below are passed over, and nobody looks there."""
    with ExitStack() as on:
        for reading in readings:
            on.enter_context(reading.rest(layers, "right"))
        yield


@contextmanager
def _opening(readings: Sequence[Reading], layers: range) -> Iterator[None]:
    """The same of the prefix."""
    with ExitStack() as on:
        for reading in readings:
            on.enter_context(reading.opening(0, layers))
        yield


def _repeated(cache: Any, rows: int) -> Any:
    """A copy of a cache of one row, for a batch of so many."""
    if cache is not None:
        cache = copied(cache)
        repeat_rows(cache, 1, rows)
    return cache


def _with(cache: Any) -> dict[str, Any]:
    return {"use_cache": False} if cache is None else {"past_key_values": cache, "use_cache": True}
