"""The rows that a sweep is asked for, whose logits are wanted where, and how those of some rows are put in place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clampdown.models.chat_model import ChatModel
from clampdown.steering.receipt import Receipt


@dataclass(frozen=True)
class Asked:
    """Rows that are asked for: token ids, their prompts' lengths, the mask of all columns, and what the model is given.

    spans: the columns [start, end) of each row whose logits are wanted; None for all.
    """

    rows: Sequence[Sequence[int]]
    prompts: Sequence[int]
    mask: Tensor
    inputs: dict[str, Tensor]
    spans: Sequence[tuple[int, int]] | None

    def of(self, some: Sequence[int]) -> "Asked":
        """Some of the rows."""
        spans = None if self.spans is None else [self.spans[row] for row in some]
        inputs = {name: tensor[some] for name, tensor in self.inputs.items()}
        return Asked([self.rows[r] for r in some], [self.prompts[r] for r in some], self.mask[some], inputs, spans)


def put_in(
    asked: Asked,
    plain: tuple[Tensor, list[Receipt]],
    again: Sequence[int],
    steered: tuple[Tensor, list[Receipt]] | None,
) -> tuple[Tensor, list[Receipt]]:
    """Logits and receipts of all rows, those of the rows that ran `again` in their places."""
    if steered is None:
        return plain
    receipts = list(plain[1])
    for row, receipt in zip(again, steered[1], strict=True):
        receipts[row] = receipt
    if asked.spans is None:
        return plain[0].index_copy(0, torch.tensor(again, device=plain[0].device), steered[0]), receipts
    lengths = [end - start for start, end in asked.spans]
    parts = list(plain[0].split(lengths))
    for row, part in zip(again, steered[0].split([lengths[row] for row in again]), strict=True):
        parts[row] = part
    return torch.cat(parts), receipts


@contextmanager
def head_at(model: ChatModel, spans: Sequence[tuple[int, int]] | None) -> Iterator[None]:
    """Within, the head sees only columns [start, end) of each row, as one row of all of them."""
    if spans is None:
        yield
        return
    rows = torch.tensor([row for row, (start, end) in enumerate(spans) for _ in range(start, end)])
    columns = torch.tensor([column for start, end in spans for column in range(start, end)])

    def fewer(_module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *others = args
        return hidden[rows.to(hidden.device), columns.to(hidden.device)][None], *others

    handle = model.hf.get_output_embeddings().register_forward_pre_hook(fewer)
    try:
        yield
    finally:
        handle.remove()
