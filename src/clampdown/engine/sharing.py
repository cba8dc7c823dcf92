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
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.engine.blocks import Split
from clampdown.engine.padding import RightPadded
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import Batch, ChatModel
from clampdown.models.key_values import copied, empty_cache, lower_part, put_lower, repeat_rows
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.receipt import Receipt, joined


class Prefilled(NamedTuple):
    """A cache, the steering it was made under, and the receipt of the prefix, which the steering did not see."""

    steering: Steering
    cache: Any
    opening: Receipt | None


class Sweep:
    """Several recipes on one model, beginning with the blocks that all of them leave alone.

    Attributes:
        layer: the lowest layer that any of the recipes edits; the last one where none does.
        prefix: what all rows begin with, run once; empty where the model does not bear it.
    """

    def __init__(self, model: ChatModel, recipes: Sequence[Recipe | None], prefix: Sequence[int] = ()) -> None:
        self.model, self.recipes = model, list(recipes)
        self.prefix = list(prefix) if prefix and bearing(model.hf).parts else []
        self._turns = user_turns(prefix)
        self.layer = min((e.layer for r in self.recipes if r for e in r.edits), default=model.n_layers - 1)
        self.split = Split(model, self.layer)  # tells at once where a model's upper blocks can't be run alone
        self._below: Any = None
        self._above: list[tuple[Any, Receipt | None]] = [(None, None)] * len(self.recipes)
        if self.prefix:
            self._run_prefix()

    @torch.inference_mode()
    def logits(
        self, rows: Sequence[Sequence[int]], prompts: Sequence[int], *, answers_only: bool = False
    ) -> Iterator[tuple[Tensor, list[Receipt]]]:
        """For each recipe the rows' logits, and a receipt for each row.

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
        below = _repeated(self._below, len(rows))
        # No mask for the model: causal attention does not see padding on the right, and runs faster without.
        columns = torch.arange(known, mask.shape[1], device=mask.device)
        inputs = {"input_ids": batch.input_ids, "position_ids": columns.expand(len(rows), -1)}
        x = self.split.lower(inputs | _with(below))
        where = [(r, p - known - 1, len(row) - known) for r, (row, p) in enumerate(zip(rows, prompts, strict=True))]
        turns = [user_turns(row) for row in rows]
        for recipe, (cache, opening) in zip(self.recipes, self._above, strict=True):
            steering = Steering(self.model, [recipe] * len(rows), user_turns=turns)
            steering.tracker = RightPadded(prompts, mask, turns)
            with steering, _head_at(self.model, where if answers_only else None):
                logits = self.split.upper(x, inputs | _with(_repeated(cache, len(rows)))).logits
            receipts = [joined([opening, taken]) if opening else taken for taken in steering.receipts()]
            yield logits[0] if answers_only else logits, receipts

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

        Close the iterator after the last: until then the last recipe's steering stays on.
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
        for recipe, (opened, opening) in zip(self.recipes, self._above, strict=True):
            cache = self._begun(opened, len(rows))
            with Steering(self.model, [recipe] * len(rows), prompt_lengths=prompts, user_turns=turns) as steering:
                if x is not None:
                    self.split.upper(x, inputs | _with(cache) | {"logits_to_keep": 1})
                put_lower(cache, lower_part(below, self.layer))
                yield Prefilled(steering, cache, opening)

    @torch.no_grad()
    def _run_prefix(self) -> None:
        batch = self.model.pad([self.prefix])
        inputs = {"input_ids": batch.input_ids}
        self._below = empty_cache(self.model.hf)
        x = self.split.lower(inputs | _with(self._below))
        for arm, recipe in enumerate(self.recipes):
            cache = empty_cache(self.model.hf)
            # Two more than there are: all of it is prompt, and none of it a prompt's last token.
            lengths, turns = [len(self.prefix) + 2], [self._turns]
            with Steering(self.model, [recipe], prompt_lengths=lengths, user_turns=turns) as steering:
                self.split.upper(x, inputs | _with(cache) | {"logits_to_keep": 1})
            self._above[arm] = cache, steering.receipts()[0]

    def _begun(self, cache: Any, rows: int) -> Any:
        """The prefix's cache for so many rows, or an empty one."""
        return empty_cache(self.model.hf) if cache is None else _repeated(cache, rows)


@contextmanager
def _head_at(model: ChatModel, where: Sequence[tuple[int, int, int]] | None) -> Iterator[None]:
    """Within, the head sees only columns start to end of each (row, start, end), as one row of all of them."""
    if where is None:
        yield
        return
    rows = torch.tensor([row for row, start, end in where for _ in range(start, end)])
    columns = torch.tensor([column for _, start, end in where for column in range(start, end)])

    def fewer(_module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *others = args
        return hidden[rows.to(hidden.device), columns.to(hidden.device)][None], *others

    handle = model.hf.get_output_embeddings().register_forward_pre_hook(fewer)
    try:
        yield
    finally:
        handle.remove()


def _repeated(cache: Any, rows: int) -> Any:
    """A copy of a cache of one row, for a batch of so many."""
    if cache is not None:
        cache = copied(cache)
        repeat_rows(cache, 1, rows)
    return cache


def _with(cache: Any) -> dict[str, Any]:
    return {"use_cache": False} if cache is None else {"past_key_values": cache, "use_cache": True}
