"""Which positions of a forward call a recipe edits, told by the attention mask and the place in the sequence."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.recipe import Positions


class Places(NamedTuple):
    """Where the columns of one forward call lie in their sequences, [row, column] each."""

    real: Tensor  # bool: not padding
    position: Tensor  # 0-based place among the row's real tokens
    prompt_length: Tensor  # [row, 1]: real tokens of the prompt

    def selected(self, positions: Positions, norm: Tensor | None = None) -> Tensor:
        """Bool [row, column]: the places that `positions` edits; `norm` is the residual's, for sinks."""
        chosen = self.real
        generated = self.position - self.prompt_length  # 0 for the first generated token
        if positions.scope == "generated":
            chosen = chosen & (generated >= 0)
        elif positions.scope == "first-generated":
            assert positions.count is not None
            chosen = chosen & (generated >= 0) & (generated < positions.count)
        elif positions.scope == "from-last-prompt-token":
            chosen = chosen & (generated >= -1)
        if positions.scope == "all":
            return chosen
        chosen = chosen & (self.position > 0)
        if positions.sink_norm is not None and norm is not None:
            chosen = chosen & (norm <= positions.sink_norm)
        return chosen


class PlaceTracker:
    """Follows the forward calls of a sequence through the KV cache.

    A call without a cache starts a new sequence. Calls of more than one column are prompt, later single columns are
    generated tokens, unless `prompt_lengths` (real tokens per row) says otherwise.
    """

    def __init__(self, prompt_lengths: Sequence[int] | None = None) -> None:
        self.given = None if prompt_lengths is None else torch.tensor(prompt_lengths)[:, None]
        self.seen: Tensor | None = None
        self.prompt_length: Tensor | None = None

    def places(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Places:
        """The places of a call of the decoder with these arguments."""
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            ids = kwargs.get("inputs_embeds")
        if ids is None:
            raise ClampdownError("steering saw a forward call without input_ids or inputs_embeds; refusing to go on")
        rows, columns = ids.shape[:2]
        past = _past_length(kwargs.get("past_key_values"))
        real = self._real(kwargs.get("attention_mask"), rows, columns, past, ids.device)
        if past == 0 or self.seen is None or len(self.seen) != rows:
            self.seen = torch.zeros(rows, 1, dtype=torch.long, device=ids.device)
            self.prompt_length = None
            if past:
                self.seen += self._before(kwargs.get("attention_mask"), rows, past, ids.device)
        position = self.seen + real.long().cumsum(-1) - 1
        self.seen = self.seen + real.long().sum(-1, keepdim=True)
        if self.given is not None:
            self.prompt_length = self.given.to(ids.device)
        elif columns > 1 or self.prompt_length is None:
            self.prompt_length = self.seen
        return Places(real, position, self.prompt_length)

    def select(self, rows: Tensor, prompt_lengths: Sequence[int] | None = None) -> None:
        """Go on with these rows of the batch: some of them, or some several times over."""
        if self.seen is not None:
            self.seen = self.seen[rows]
        if self.prompt_length is not None:
            self.prompt_length = self.prompt_length[rows]
        if prompt_lengths is not None:
            self.given = torch.tensor(prompt_lengths)[:, None]
        elif self.given is not None:
            self.given = self.given[rows.cpu()]

    @staticmethod
    def _real(mask: Any, rows: int, columns: int, past: int, device: torch.device) -> Tensor:
        if mask is None:
            return torch.ones(rows, columns, dtype=torch.bool, device=device)
        if not isinstance(mask, Tensor) or mask.dim() != 2:
            raise ClampdownError("steering needs the plain [row, position] attention mask to tell padding from tokens")
        return mask[:, past : past + columns].bool()

    @staticmethod
    def _before(mask: Any, rows: int, past: int, device: torch.device) -> Tensor:
        if isinstance(mask, Tensor) and mask.dim() == 2:
            return mask[:, :past].long().sum(-1, keepdim=True)
        return torch.full((rows, 1), past, device=device)


def _past_length(cache: Any) -> int:
    return int(cache.get_seq_length()) if cache is not None else 0
