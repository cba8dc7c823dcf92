"""Prompts with two answers each, run as a tree: what is shared is computed once.

The template's beginning is common to all rows, a prompt to its two answers. The residual after the SAE's layer is read
once; an edit then costs the blocks above, on about a third of the tokens that plain batches would take.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.engine.blocks import Split
from clampdown.engine.prefill import shared_length
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import empty_cache, repeat_rows

Delta = Callable[[Tensor], Tensor]
"""Maps residuals [tokens, d_model] to what an edit adds to them."""


class Level(NamedTuple):
    """One stage of the tree: [row, position] ids, mask and positions, and the residual [row, position, d_model]."""

    ids: Tensor
    mask: Tensor
    position: Tensor
    x: Tensor

    def editable(self) -> Tensor:
        """Bool [row, position]: real tokens but the first of the sequence, which is a sink."""
        return self.mask.bool() & (self.position > 0)

    def tokens(self) -> Tensor:
        """Residuals of the editable tokens in float32: [tokens, d_model]."""
        return self.x[self.editable()].float()

    def edited(self, delta: Delta | None) -> Tensor:
        if delta is None:
            return self.x
        mask = self.editable()
        flat = self.x[mask].float()
        return self.x.index_put((mask,), (flat + delta(flat)).to(self.x.dtype))

    def take(self, rows: Sequence[int]) -> "Level":
        return Level(*(part[list(rows)] for part in self))

    def under(self, deltas: Sequence[Delta]) -> "Level":
        """The level once for each delta, one below the other, its residual edited."""
        ids, mask, position = (part.repeat(len(deltas), 1) for part in (self.ids, self.mask, self.position))
        return Level(ids, mask, position, torch.cat([self.edited(delta) for delta in deltas]))


class Tree(NamedTuple):
    """Beginning (one row), prompts (left-padded), and answers (two a prompt: refusal, compliance; right-padded)."""

    beginning: Level
    prompts: Level
    answers: Level

    def levels(self) -> tuple[Level, Level, Level]:
        return (self.beginning, self.prompts, self.answers)

    def take(self, rows: Sequence[int]) -> "Tree":
        both = [2 * row + side for row in rows for side in (0, 1)]
        return Tree(self.beginning, self.prompts.take(rows), self.answers.take(both))

    def under(self, deltas: Sequence[Delta]) -> "Tree":
        """The tree once for each delta, side by side, as if grown under it: its prompts follow those of the last."""
        return Tree(*(level.under(deltas) for level in self.levels()))

    def __len__(self) -> int:
        return len(self.prompts.ids)

    def refusing(self) -> Tensor:
        """Residuals on the refusals' tokens: [tokens, d_model]."""
        return self.answers.take(range(0, 2 * len(self), 2)).tokens()

    def complying(self) -> Tensor:
        """Residuals on the compliances' tokens: [tokens, d_model]."""
        return self.answers.take(range(1, 2 * len(self), 2)).tokens()

    def rows(self) -> list[tuple[list[int], Tensor]]:
        """Each sequence that ends in a refusal: its ids, and its residuals [position, d_model]."""
        found = []
        for row in range(len(self)):
            parts = (self.beginning.take([0]), self.prompts.take([row]), self.answers.take([2 * row]))
            keep = [part.mask.bool() for part in parts]
            ids = torch.cat([part.ids[k] for part, k in zip(parts, keep, strict=True)]).tolist()
            found.append((ids, torch.cat([part.x[k] for part, k in zip(parts, keep, strict=True)])))
        return found


class Whole(NamedTuple):
    """A tree's sequences each run whole, padded on the right, for models that bear nothing between a tree's levels.

    Every prompt runs twice, once with either answer, and nothing is kept from call to call, so that gradients pass.

    Attributes:
        ids, mask, position, x: of whole sequences, as in a level; a row for each answer.
        place: where each column of the levels, side by side, went: [row, column].
        widths, times: of each level its columns, and how many answers' rows hold each of its rows.
    """

    ids: Tensor
    mask: Tensor
    position: Tensor
    x: Tensor
    place: Tensor
    widths: list[int]
    times: list[int]

    @classmethod
    def of(cls, levels: Sequence[Level]) -> "Whole":
        """From the levels of a tree; whatever their x holds, [row, position, any]."""
        rows = len(levels[-1].ids)
        times = [rows // len(level.ids) for level in levels]
        level = Level(*(
            torch.cat([part.repeat_interleave(n, 0) for part, n in zip(parts, times, strict=True)], dim=1)
            for parts in zip(*levels, strict=True)
        ))  # fmt: skip
        order = (1 - level.mask).argsort(dim=1, stable=True)  # what is real comes first, as it stood
        ids, mask, position = (part.gather(1, order) for part in level[:3])
        x = level.x.gather(1, order[..., None].expand_as(level.x))
        return cls(ids, mask, position, x, order.argsort(dim=1), [len(one.ids[0]) for one in levels], times)

    def inputs(self) -> dict[str, Tensor]:
        return {"input_ids": self.ids, "attention_mask": self.mask, "position_ids": self.position}

    def apart(self, x: Tensor) -> list[Tensor]:
        """What was found on whole sequences, [row, position, any], level by level again."""
        laid = x.gather(1, self.place[..., None].expand(-1, -1, x.shape[-1]))
        return [part[::n] for part, n in zip(laid.split(self.widths, dim=1), self.times, strict=True)]

    def _before(self) -> Tensor:
        """Where the token before each of the answers' is: [row, column of the answers]."""
        return self.place[:, -self.widths[-1] :] - 1

    def needed(self) -> int:
        """Of how many columns, from the end, the logits are wanted."""
        return self.ids.shape[1] - int(self._before().min())

    def predicting(self, logits: Tensor) -> Tensor:
        """The logits that predict the answers' tokens, [row, column of the answers, vocabulary], of those needed."""
        before = self._before() - (self.ids.shape[1] - logits.shape[1])
        return logits.gather(1, before[..., None].expand(-1, -1, logits.shape[-1]))


def grow(model: ChatModel, layer: int, prompts: Sequence[str], refusal: str, compliance: str) -> Tree:
    """Tokenise and run the blocks up to `layer`."""
    rows = [model.prompt_ids(prompt, room=64) for prompt in prompts]
    shared = shared_length(rows)
    near = model.window is not None and model.window < max(map(len, rows)) + 64
    if near or not bearing(model.hf).gaps:
        shared = 0  # padding between what is shared and the rest would shorten the blocks' view, or be heard
    parts = [
        model.pad([rows[0][:shared]]),
        model.pad([row[shared:] for row in rows]),
        model.pad([model.text_ids(text) for _ in rows for text in (refusal, compliance)], side="right"),
    ]
    starts = [torch.zeros(1, 1, dtype=torch.long), torch.full((len(rows), 1), shared)]
    starts.append(torch.tensor([[len(row)] for row in rows]).repeat_interleave(2, 0))
    levels = [
        Level(p.input_ids, p.attention_mask, (s.to(model.device) + p.attention_mask.cumsum(-1) - 1).clamp_min(0), s)
        for p, s in zip(parts, starts, strict=True)
    ]

    split = Split(model, layer)

    def read(inputs: dict[str, Any]) -> Tensor:
        if inputs["input_ids"].numel() == 0:
            return torch.zeros(1, 0, model.d_model, dtype=model.dtype, device=model.device)
        return split.lower(inputs)

    with torch.no_grad():
        if bearing(model.hf).gaps:
            xs = _walk(model, levels, lambda level, inputs: read(inputs))
        else:
            whole = Whole.of([level._replace(x=level.ids[..., None]) for level in levels])
            xs = whole.apart(read(whole.inputs()))
    return Tree(*(level._replace(x=x) for level, x in zip(levels, xs, strict=True)))


def log_odds(model: ChatModel, layer: int, tree: Tree, delta: Delta | None) -> Tensor:
    """Log-odds of refusing against complying, in nats, when `delta` is added at every editable place: [prompt]."""
    split = Split(model, layer)
    with model.unsteered():

        def run(level: Level, inputs: dict[str, Any]) -> Tensor:
            if level.ids.numel() == 0:
                return level.x
            keep = 0 if level is tree.answers else 1
            return split.upper(level.edited(delta), inputs | {"use_cache": True, "logits_to_keep": keep}).logits

        if bearing(model.hf).gaps:
            _, ends, told = _walk(model, tree.levels(), run)
            logits = torch.cat([ends.repeat_interleave(2, 0), told[:, :-1]], dim=1)
        else:
            whole = Whole.of([level._replace(x=level.edited(delta)) for level in tree.levels()])
            out = split.upper(whole.x, whole.inputs() | {"use_cache": False, "logits_to_keep": whole.needed()})
            logits = whole.predicting(out.logits)
    logits = logits.float().log_softmax(-1)
    chosen = logits.gather(-1, tree.answers.ids[..., None]).squeeze(-1)
    both = (chosen * tree.answers.mask).sum(-1).reshape(-1, 2)
    return both[:, 0] - both[:, 1]


def _walk(model: ChatModel, levels: Sequence[Level], run: Callable[[Level, dict[str, Any]], Tensor]) -> list[Tensor]:
    """Run each level on the cache of the one before, its rows repeated to fit; what `run` gives for each."""
    cache = empty_cache(model.hf)
    mask = levels[0].mask[:, :0]
    results = []
    for level in levels:
        times = len(level.ids) // len(mask)
        repeat_rows(cache, len(mask), times)
        mask = torch.cat([mask.repeat_interleave(times, 0), level.mask], dim=1)
        inputs = {"input_ids": level.ids, "attention_mask": mask, "position_ids": level.position}
        results.append(run(level, inputs | {"past_key_values": cache}))
    return results
