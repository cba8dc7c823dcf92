"""The loss: how likely the targets are under an edit, computed as steering will do it, with gradients.

The blocks up to the edit's layer do not depend on it, so they run once for each target; what they made of it is kept in
the model's own precision. An edit then runs the blocks above. Positions, sinks and weights come from where steering has
them, and the change is made in float32 and kept as the model keeps it, so that a recipe does what was trained.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.discovery.tree import Delta
from clampdown.discovery.tuning.targets import Target
from clampdown.engine.blocks import Split
from clampdown.engine.padding import RightPadded
from clampdown.engine.sweep_rows import head_at
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress
from clampdown.recipe import Positions
from clampdown.steering.positions import Windows

_TOKENS = 2048
"""Of a batch that is read, padding included."""


class Example(NamedTuple):
    """A target as it is run: the ids that go in, how many of them are prompt, what is to follow each from there on."""

    ids: Prompt
    prompt: int
    answer: tuple[int, ...]
    x: Tensor  # the residual after the edit's layer, [position, d_model], on the CPU


class Lesson:
    """Targets whose likelihood is asked for under one edit after the other.

    Args:
        positions: gives the window, once what is read is here, for it may take that to know it (the norm of sinks).

    Raises:
        ClampdownError: the layer does not exist, or the blocks above it can't be run alone.
    """

    def __init__(
        self,
        model: ChatModel,
        layer: int,
        targets: Sequence[Target],
        positions: Callable[["Lesson"], Positions],
        progress: Progress,
    ) -> None:
        self.model, self.layer, self.split = model, layer, Split(model, layer)
        self.examples = self._read(targets, progress)
        self.positions = positions(self)

    def norms(self) -> Tensor:
        """‖x‖ of every token but each sequence's first: [token]."""
        return torch.cat([example.x[1:].float().norm(dim=-1) for example in self.examples])

    def residuals(self, places: Sequence[int]) -> Tensor:
        """Residuals of all tokens of some examples but each one's first, in float32: [token, d_model]."""
        return torch.cat([self.examples[place].x[1:] for place in places]).float().to(self.model.device)

    def log_likelihoods(self, places: Sequence[int], delta: Delta | None) -> Tensor:
        """Of every token of some examples' answers, in nats, when `delta` is added in the window: [token].

        The examples' tokens lie end to end. Gradients flow to what `delta` holds, where they are on.
        """
        some = [self.examples[place] for place in places]
        inputs, mask = self._laid_out([example.ids for example in some])
        x = self._edited(some, inputs["input_ids"], mask, delta)
        spans = [(example.prompt - 1, len(example.ids)) for example in some]
        with self.model.unsteered(), head_at(self.model, spans):
            logits = self.split.upper(x, inputs | {"use_cache": False}).logits[0]
        answers = torch.tensor([i for example in some for i in example.answer], device=logits.device)
        return logits.gather(-1, answers[:, None])[:, 0].float() - logits.float().logsumexp(-1)

    def _edited(self, some: Sequence[Example], ids: Tensor, mask: Tensor, delta: Delta | None) -> Tensor:
        x = torch.zeros(*ids.shape, self.model.d_model, dtype=some[0].x.dtype)
        for row, example in enumerate(some):
            x[row, : len(example.x)] = example.x
        x = x.to(self.model.device)
        if delta is None:
            return x
        tracker = RightPadded([e.prompt for e in some], mask, [e.ids.user for e in some])
        places = tracker.places((), {"input_ids": ids})
        windows = Windows.of([self.positions] * len(some))
        chosen = places.chosen(windows, x.float().norm(dim=-1) if windows.limits else None)
        weight = places.weights(windows)
        flat = x[chosen].float()
        push = delta(flat) if weight is None else weight[chosen][:, None] * delta(flat)
        return x.index_put((chosen,), (flat + push).to(x.dtype))

    def _laid_out(self, rows: Sequence[Prompt]) -> tuple[dict[str, Tensor], Tensor]:
        """Padded on the right, which causal attention does not see: the model is given no mask."""
        batch = self.model.pad(rows, side="right")
        columns = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
        inputs = {"input_ids": batch.input_ids, "position_ids": columns.expand(len(rows), -1)}
        return inputs, batch.attention_mask

    @torch.no_grad()
    def _read(self, targets: Sequence[Target], progress: Progress) -> list[Example]:
        rows = [target.prompt + target.answer[:-1] for target in targets]  # the last token is only predicted
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found: dict[int, Example] = {}
        while order:
            size = max(1, _TOKENS // len(rows[order[-1]]))
            places, order = order[-size:], order[:-size]
            inputs, _ = self._laid_out([rows[place] for place in places])
            x = self.split.lower(inputs | {"use_cache": False}).cpu()
            for own, place in zip(x, places, strict=True):
                target, ids = targets[place], rows[place]
                found[place] = Example(ids, len(target.prompt), target.answer, own[: len(ids)].clone())
            progress("reading them", len(places), len(rows), f"up to block {self.layer}")
        return [found[place] for place in range(len(rows))]
