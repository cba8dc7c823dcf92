"""Telling text from padding where the model is told nothing: positions for steering, in batches like lm-eval's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from clampdown.models.prompt import Spans
from clampdown.steering.positions import Places, PlaceTracker


class RightPadded(PlaceTracker):
    """Told which columns are padding [row, position] by a mask of its own: the model is given none."""

    def __init__(
        self, prompt_lengths: Sequence[int], mask: Tensor, user_turns: Sequence[Spans | None] | None = None
    ) -> None:
        super().__init__(prompt_lengths, user_turns)
        self.mask = mask

    def places(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Places:
        return super().places(args, {**kwargs, "attention_mask": self.mask})


class UntilEnded(PlaceTracker):
    """Leaves a row out once it has ended: while others go on, Transformers feeds it padding as if it were text.

    `mask` [row, position] is the prompts'; Transformers hands none on where it is all ones.
    """

    def __init__(self, mask: Tensor, ends: int | Sequence[int] | None) -> None:
        super().__init__(mask.sum(-1).tolist())
        self.mask = mask
        self.ends = torch.tensor([ends] if isinstance(ends, int) else list(ends or []), device=mask.device)
        self.ended: Tensor | None = None

    def places(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Places:
        ids, cache = kwargs["input_ids"], kwargs.get("past_key_values")
        whole = (cache.get_seq_length() if cache is not None else 0) + ids.shape[1]
        mask = self.mask.new_ones(len(ids), whole)
        mask[:, : self.mask.shape[1]] = self.mask[:, :whole]
        if self.ended is None:  # the prompt, or the rest of it; then an answer's tokens come one by one
            self.ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        else:
            self.ended = self.ended | torch.isin(ids[:, -1], self.ends)
            mask[self.ended, -1] = 0
        return super().places(args, {**kwargs, "attention_mask": mask})
