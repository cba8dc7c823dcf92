"""Scores of prompts, taken while the model reads them: in one call, or in two where they begin alike."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.pooling import pooled
from clampdown.steering.gates.spans import read_positions


class _Tokens:
    """The tokens that parts of one kind read of each prompt: where they lie in the calls, and whose they are.

    Attributes:
        early: columns in the call that holds the first `shared` tokens, which all prompts begin with.
        late, back: row, and columns before the end, in the call that holds the rest.
        order: of each row, the places of its tokens among early and then late ones, [row, token]; `count` are its own.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], pool: str, over: str, shared: int) -> None:
        read = [read_positions(prompt, pool, over) for prompt in prompts]
        early = sorted({place for places in read for place in places if place < shared})
        number = {place: n for n, place in enumerate(early)}
        late: list[tuple[int, int]] = []
        order: list[list[int]] = []
        for row, (prompt, places) in enumerate(zip(prompts, read, strict=True)):
            order.append([])
            for place in places:
                order[-1].append(number[place] if place < shared else len(early) + len(late))
                late += [(row, len(prompt) - place)] if place >= shared else []
        most = max(map(len, order))
        self.early, self.count = torch.tensor(early, dtype=torch.long), torch.tensor([len(told) for told in order])
        self.late, self.back = torch.tensor(late, dtype=torch.long).reshape(-1, 2).T
        self.order = torch.tensor([told + told[-1:] * (most - len(told)) for told in order])


class Reading:
    """One gate's scores of some rows of a batch, whose prompts are read unsteered and padded on the left.

    Args:
        prompts: token ids of these rows; those that know their user turns are read as such (`models.prompt`).
        rows: their numbers in the batch.
        shared: how many tokens all prompts of the batch begin with that are read in a call of their own.

    Of each token that the gate reads its score is kept, never a residual.
    """

    def __init__(
        self, model: ChatModel, gate: CompiledGate, prompts: Sequence[Sequence[int]], rows: Sequence[int], shared: int
    ) -> None:
        self.model, self.gate, self.prompts = model, gate, list(prompts)
        self._rows = torch.tensor(rows, dtype=torch.long)
        keys = {(part.pool, part.over) for part in gate.file.parts}
        self._tokens = {key: _Tokens(prompts, *key, shared) for key in keys}
        self._told: list[list[Tensor]] = [[] for _ in gate.parts]

    @contextmanager
    def opening(self, row: int) -> Iterator[None]:
        """Within, the model reads what all prompts begin with, unsteered in this row."""
        with self._watching(lambda tokens, _width: (torch.full_like(tokens.early, row), tokens.early)):
            yield

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Within, the model reads the prompts, or what is left of them."""
        with self._watching(lambda tokens, width: (self._rows[tokens.late], width - tokens.back)):
            yield

    def scores(self) -> list[float]:
        """The score of each row, once its prompt was read; what is not finite is told as it is."""
        total = torch.full((len(self.prompts),), self.gate.file.bias)
        for part, told in zip(self.gate.parts, self._told, strict=True):
            tokens, found = self._tokens[part.part.pool, part.part.over], torch.cat(told)
            share = pooled(part.part, found[tokens.order.to(found.device)], tokens.count.to(found.device))
            total = total.to(share.device) + share
        words = [self.gate.words_score(self.model, prompt) for prompt in self.prompts]
        return [score + more for score, more in zip(total.tolist(), words, strict=True)]

    @contextmanager
    def _watching(self, where: Any) -> Iterator[None]:
        known: dict[Any, tuple[Tensor, Tensor]] = {}  # sent to a device once, not for each layer

        def look(part: CompiledPart, told: list[Tensor], x: Tensor) -> None:
            key = (part.part.pool, part.part.over, x.device)
            if key not in known:
                rows, columns = where(self._tokens[key[:2]], x.shape[1])
                known[key] = rows.to(x.device), columns.to(x.device)
            told.append(part.scores(x, *known[key]))

        def hook(part: CompiledPart, told: list[Tensor]) -> Any:
            return lambda _module, _inputs, output: look(part, told, residual.block_output(output))

        blocks = residual.blocks(self.model.hf)
        with ExitStack() as hooks:
            for part, told in zip(self.gate.parts, self._told, strict=True):
                hooks.callback(blocks[part.part.layer].register_forward_hook(hook(part, told)).remove)
            yield


@torch.inference_mode()
def gate_scores(model: ChatModel, gate: CompiledGate, prompts: Sequence[Sequence[int]]) -> list[float]:
    """The gate's score of each prompt (token ids), read together and unsteered; no block above the last part's runs.

    Where padding would be heard, prompts must be of one length.
    """
    reading = Reading(model, gate, prompts, range(len(prompts)), 0)
    if gate.file.layers:
        inputs = model.pad(prompts).as_inputs()
        mask = inputs["attention_mask"]
        with model.unsteered(), reading.rest():
            residual.read_residual(
                model.hf,
                inputs | {"position_ids": (mask.cumsum(-1) - 1).clamp_min(0)},
                gate.file.layers[-1:],
            )
    return reading.scores()
