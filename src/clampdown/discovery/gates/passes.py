"""Prompts read by the model in batches, up to the highest block that anyone asks for; what a batch begins with once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.engine.prefill import read_together, shared_length
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import empty_cache, keeps_keys_only, repeat_rows
from clampdown.models.prompt import Prompt

_TOKENS = 4096
"""Of a batch, padding included."""
_ROWS = 64
_FEW = 8
"""Prompts from which on a batch is not worth mixing with others that begin otherwise."""
_LEAST = 4
"""Tokens that a batch must begin with alike for these to be read apart."""


@dataclass(frozen=True)
class Pass:
    """Some prompts that are read together.

    Attributes:
        places: their places among all prompts.
        shared: how many tokens all of them begin with that are read once.
    """

    model: ChatModel
    places: list[int]
    prompts: list[Prompt]
    shared: int

    @torch.inference_mode()
    def read(
        self,
        layers: Sequence[int],
        opening: AbstractContextManager[None] | None = None,
        rest: AbstractContextManager[None] | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Residuals after `layers`, in the model's own precision and unsteered.

        opening, rest: contexts for the calls that read what is shared, and what follows.

        Returns:
            For each layer what is shared, [shared, d_model], and the rest, padded on the left, [row, column, d_model].
        """
        model, cache = self.model, {}
        early: list[Tensor] = []
        with model.unsteered():
            if self.shared:
                cache = {"past_key_values": empty_cache(model.hf), "use_cache": True}
                start = model.pad([self.prompts[0][: self.shared]])
                with opening or nullcontext():
                    early = residual.read_residual(model.hf, start.as_inputs() | cache, layers)
                repeat_rows(cache["past_key_values"], 1, len(self.prompts))
            batch = model.pad([prompt[self.shared :] for prompt in self.prompts])
            mask = torch.cat([batch.attention_mask.new_ones(len(self.prompts), self.shared), batch.attention_mask], 1)
            inputs = {
                "input_ids": batch.input_ids,
                "attention_mask": mask,
                "position_ids": (mask.cumsum(-1) - 1).clamp_min(0)[:, self.shared :],
            }
            with rest or nullcontext():
                late = residual.read_residual(model.hf, inputs | cache, layers)
        return [x[0] for x in early], late

    def tokens(self, read: tuple[list[Tensor], list[Tensor]], places: Sequence[Sequence[int]]) -> list[Tensor]:
        """For each layer the residuals at some places of each prompt, one prompt after the other: [token, d_model]."""
        early, late = read
        width = late[0].shape[1]
        rows, columns = [], []
        for row, (prompt, some) in enumerate(zip(self.prompts, places, strict=True)):
            for place in some:
                rows.append(-1 if place < self.shared else row)
                columns.append(place if place < self.shared else width - len(prompt) + place)
        if not self.shared:
            return [x[rows, columns] for x in late]
        row, column = torch.tensor(rows), torch.tensor(columns)
        found = []
        for shared, x in zip(early, late, strict=True):
            tokens = x[row.clamp_min(0), column.clamp_max(width - 1)]
            tokens[row < 0] = shared[column[row < 0]]
            found.append(tokens)
        return found


def passes(model: ChatModel, prompts: Sequence[Prompt]) -> Iterator[Pass]:
    """All prompts, those that begin alike and are of a length together."""
    begun = [_before_user(prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda place: (begun[place], len(prompts[place]), place))
    batch: list[int] = []
    for place in order:
        most = max(len(prompts[other]) for other in [*batch, place])
        full = len(batch) == _ROWS or (len(batch) + 1) * most > _TOKENS
        if batch and (full or (len(batch) >= _FEW and begun[place] != begun[batch[0]])):
            yield from _passes(model, prompts, batch)
            batch = []
        batch.append(place)
    if batch:
        yield from _passes(model, prompts, batch)


def _before_user(prompt: Prompt) -> tuple[int, ...]:
    """The tokens before the first user's words, where a template's own opening and a system prompt are."""
    return tuple(prompt[: prompt.user[0][0]]) if prompt.user else ()


def _passes(model: ChatModel, prompts: Sequence[Prompt], places: list[int]) -> Iterator[Pass]:
    for group in read_together(model, [prompts[place] for place in places]):
        some = [places[number] for number in group]
        rows = [prompts[place] for place in some]
        yield Pass(model, some, rows, _shared(model, rows))


def _shared(model: ChatModel, rows: Sequence[Prompt]) -> int:
    """None where padding between the beginning and the rest would be heard, or where blocks look back less far."""
    if len(rows) < 2 or not keeps_keys_only(model.hf):
        return 0
    if model.window is not None and model.window < max(map(len, rows)):
        return 0
    shared = shared_length(rows)
    return shared if shared >= _LEAST else 0
