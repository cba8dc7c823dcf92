"""Scores of prompts, taken while the model reads them: in one call, or in two where they begin alike."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from clampdown.models import residual
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import ChatModel
from clampdown.models.exclusive import turn_of
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.pooling import fed, highest_window, pooled
from clampdown.steering.gates.spans import read_positions

_ALL = range(1 << 20)


class _Tokens:
    """The tokens that parts of one kind read of each prompt: where they lie in the calls, and whose they are.

    Attributes:
        late, place: row and position of those in the call that holds what comes after the first `shared` tokens.
        order: of each row, where its tokens are among all `shared` and then the late ones, [row, token]; `count` are
            its own, of which `before` are shared and `after` is the number of the late ones.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], pool: str, over: str, shared: int) -> None:
        late: list[tuple[int, int]] = []
        order: list[list[int]] = []
        for row, prompt in enumerate(prompts):
            order.append([])
            for place in read_positions(prompt, pool, over):
                order[-1].append(place if place < shared else shared + len(late))
                late += [(row, place)] if place >= shared else []
        most = max(map(len, order))
        self.before = [[place for place in told if place < shared] for told in order]
        self.after = [len(told) - len(early) for told, early in zip(order, self.before, strict=True)]
        self.count = torch.tensor([len(told) for told in order])
        self.late, self.place = torch.tensor(late, dtype=torch.long).reshape(-1, 2).T
        self.order = torch.tensor([told + told[-1:] * (most - len(told)) for told in order])


class Reading:
    """One gate's scores of some rows of a batch, whose prompts are read unsteered.

    Args:
        prompts: token ids of these rows; those that know their user turns are read as such (`models.prompt`).
        rows: their numbers in the batch.
        shared: how many tokens all prompts of the batch begin with that are read in a call of their own.
        early: what an earlier reading of the same beginning has taken from that call.

    Of each token that the gate reads its score is kept, never a residual.
    """

    def __init__(
        self,
        model: ChatModel,
        gate: CompiledGate,
        prompts: Sequence[Sequence[int]],
        rows: Sequence[int],
        shared: int,
        early: Sequence[Tensor] | None = None,
    ) -> None:
        self.model, self.gate, self.prompts, self._shared = model, gate, list(prompts), shared
        self._rows = torch.tensor(rows, dtype=torch.long)
        self._lengths = torch.tensor([len(prompt) for prompt in prompts])
        keys = {(part.pool, part.over) for part in gate.file.parts}
        self._tokens = {key: _Tokens(prompts, *key, shared) for key in keys}
        self._told: list[list[Tensor]] = [[] for _ in gate.parts] if early is None else [[told] for told in early]

    @property
    def early(self) -> list[Tensor]:
        """What was taken from the shared beginning, once it was read."""
        return [told[0] for told in self._told]

    @contextmanager
    def opening(self, row: int, layers: range = _ALL) -> Iterator[None]:
        """Within, the model reads what all prompts begin with, unsteered in this row, through these layers."""
        columns = torch.arange(self._shared)
        with self._watching(layers, lambda _tokens, _width: (torch.full_like(columns, row), columns)):
            yield

    @contextmanager
    def rest(self, layers: range = _ALL, padding: str = "left") -> Iterator[None]:
        """Within, the model reads the prompts, or what is left of them, perhaps answers behind them."""

        def where(tokens: _Tokens, width: int) -> tuple[Tensor, Tensor]:
            before = width - self._lengths[tokens.late] if padding == "left" else -self._shared
            return self._rows[tokens.late], tokens.place + before

        with self._watching(layers, where, late=True):
            yield

    def scores(self) -> list[float]:
        """The score of each row, once its prompt was read; what is not finite is told as it is."""
        words = [self.gate.words_score(self.model, prompt) for prompt in self.prompts]
        return [score + more for score, more in zip(self.total().tolist(), words, strict=True)]

    def total(self) -> Tensor:
        """The scores without what words add, [row]; they carry gradients where what was read does."""
        total, given = torch.full((len(self.prompts),), self.gate.file.bias), torch.zeros(())
        for part, told in zip(self.gate.parts, self._told, strict=True):
            if part.part.of_windows:
                continue
            tokens, device = self._tokens[part.part.pool, part.part.over], told[-1].device
            count = tokens.count.to(device)
            if part.part.feeds:
                early = told[0] if len(told) > 1 else None
                given = given.to(device) + fed(early, told[-1], tokens.before, count)
            else:
                share = pooled(part.part, torch.cat(told)[tokens.order.to(device)], count)
                total = total.to(device) + share
        if self.gate.file.hidden is not None:
            total = total.to(given.device) + self.gate.file.hidden.score(given)
        return total + self._of_windows().to(total.device)

    def _of_windows(self) -> Tensor:
        """What the layer of windows adds to each row's score: [row], or nothing."""
        layer, given, feeding = self.gate.file.windows, torch.zeros(()), None
        for part, told in zip(self.gate.parts, self._told, strict=True):
            if part.part.of_windows:
                feeding, tokens = part.part, torch.cat(told)
                given = given.to(tokens.device) + tokens
        if layer is None or feeding is None:
            return given
        where = self._tokens[feeding.pool, feeding.over]
        return highest_window(layer, given[where.order.to(given.device)], where.count, feeding.window)

    @contextmanager
    def _watching(self, layers: range, where: Any, late: bool = False) -> Iterator[None]:
        known: dict[Any, tuple[Tensor, Tensor]] = {}  # sent to a device once, not for each layer

        blocks, turn = residual.blocks(self.model.hf), turn_of(residual.decoder(self.model.hf))

        def look(part: CompiledPart, told: list[Tensor], x: Tensor) -> None:
            turn.check_mine()
            key = (part.part.pool, part.part.over, x.device)
            if key not in known:
                rows, columns = where(self._tokens[key[:2]], x.shape[1])
                known[key] = rows.to(x.device), columns.to(x.device)
            if part.part.feeds and late and not part.part.of_windows:
                told.append(part.sums(x, *known[key], self._tokens[key[:2]].after))
            else:
                told.append(part.scores(x, *known[key]))

        def hook(part: CompiledPart, told: list[Tensor]) -> Any:
            return lambda _module, _inputs, output: look(part, told, residual.block_output(output))

        with ExitStack() as hooks:
            for part, told in zip(self.gate.parts, self._told, strict=True):
                if part.part.layer in layers:
                    hooks.callback(blocks[part.part.layer].register_forward_hook(hook(part, told)).remove)
            yield


@torch.inference_mode()
def gate_scores(model: ChatModel, gate: CompiledGate, prompts: Sequence[Sequence[int]]) -> list[float]:
    """The gate's score of each prompt (token ids), read unsteered; no block above the last part's runs."""
    lengths = dict.fromkeys(map(len, prompts))
    if len(lengths) > 1 and gate.file.layers and not bearing(model.hf).padding:
        apart = {n: iter(gate_scores(model, gate, [p for p in prompts if len(p) == n])) for n in lengths}
        return [next(apart[len(prompt)]) for prompt in prompts]
    reading = Reading(model, gate, prompts, range(len(prompts)), 0)
    if gate.file.layers:
        inputs = model.pad(prompts).as_inputs()
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp_min(0)
        with model.unsteered(), reading.rest():
            residual.read_residual(model.hf, inputs, gate.file.layers[-1:])
    return reading.scores()
