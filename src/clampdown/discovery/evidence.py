"""What a candidate is judged by: teacher-forced refusals and compliances, and plain text."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE, REFUSAL
from clampdown.discovery.tree import Delta, Level, Tree, grow, log_odds
from clampdown.engine.blocks import Split
from clampdown.engine.finite import NOT_FINITE_UNSTEERED
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel

_TEXT_TOKENS = 64
_TEXT_STRIDE = 4
_TOGETHER = 2048
"""Tokens of evidence that several edits may have together."""


class Scores(NamedTuple):
    """What an edit does: gains in log-odds of refusing (nats) on unsafe and safe prompts, KL on text (nats a token)."""

    unsafe_gain: float
    safe_gain: float
    kl: float

    @property
    def gap(self) -> float:
        return self.unsafe_gain - self.safe_gain


class Evidence(NamedTuple):
    """All that candidates are scored on. The tree holds the unsafe prompts first: one walk serves both kinds."""

    model: ChatModel
    layer: int
    tree: Tree
    unsafe_count: int
    text: Level

    @property
    def unsafe(self) -> Tree:
        return self.tree.take(range(self.unsafe_count))

    @property
    def safe(self) -> Tree:
        return self.tree.take(range(self.unsafe_count, len(self.tree)))

    def some(self, prompts: int, passages: int) -> "Evidence":
        """The first few prompts and passages only: a cheaper, rougher look."""
        first = range(min(prompts, self.unsafe_count))
        second = range(self.unsafe_count, min(self.unsafe_count + prompts, len(self.tree)))
        return self._replace(
            tree=self.tree.take([*first, *second]),
            unsafe_count=len(first),
            text=self.text.take(range(min(passages, len(self.text.ids)))),
        )

    def levels(self) -> list[Level]:
        return [*self.tree.levels(), self.text]


def gather(
    model: ChatModel,
    layer: int,
    unsafe: Sequence[str],
    safe: Sequence[str],
    texts: Sequence[str],
    *,
    refusal: str = REFUSAL,
    compliance: str = COMPLIANCE,
) -> Evidence:
    """Run the blocks up to `layer` on every prompt with both answers, and on every passage's first tokens."""
    tree = grow(model, layer, [*unsafe, *safe], refusal, compliance)
    batch = model.pad([model.text_ids(text)[:_TEXT_TOKENS] for text in texts], side="right")
    position = (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)
    with torch.no_grad():
        x = Split(model, layer).lower(batch.as_inputs() | {"position_ids": position})
    return Evidence(model, layer, tree, len(unsafe), Level(batch.input_ids, batch.attention_mask, position, x))


def text_log_probabilities(model: ChatModel, layer: int, text: Level, delta: Delta | None) -> Tensor:
    """Next-token log-probabilities at every fourth position: [row, place, vocabulary]."""
    keep = slice(_TEXT_STRIDE, None, _TEXT_STRIDE)  # an index would have to lie where the head is
    inputs = {"input_ids": text.ids, "attention_mask": text.mask, "position_ids": text.position}
    with model.unsteered():
        out = Split(model, layer).upper(text.edited(delta), inputs | {"use_cache": False, "logits_to_keep": keep})
    return out.logits.float().log_softmax(-1)


class Scorer:
    """Scores edits against evidence; what the unsteered model does is computed once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        with torch.no_grad():
            self.odds = log_odds(evidence.model, evidence.layer, evidence.tree, None)
            self.text = text_log_probabilities(evidence.model, evidence.layer, evidence.text, None)
        real = evidence.text.mask[:, _TEXT_STRIDE::_TEXT_STRIDE].bool()
        if not (self.odds.isfinite().all() and self.text[real].isfinite().all()):
            raise ClampdownError(NOT_FINITE_UNSTEERED)

    def at_once(self) -> int:
        """How many edits to score in one call: more rows keep the processor busier, until their logits fill memory."""
        return max(1, _TOGETHER // sum(level.ids.numel() for level in self.evidence.levels()))

    @torch.no_grad()
    def scores(self, deltas: Sequence[Delta]) -> list[Scores]:
        """What each edit does by itself; all run side by side."""
        e = self.evidence
        odds = log_odds(e.model, e.layer, e.tree.under(deltas), None).reshape(len(deltas), -1)
        texts = text_log_probabilities(e.model, e.layer, e.text.under(deltas), None).chunk(len(deltas))
        real = e.text.mask[:, _TEXT_STRIDE::_TEXT_STRIDE].bool()
        return [
            Scores(
                unsafe_gain=float(gains[: e.unsafe_count].mean()),
                safe_gain=float(gains[e.unsafe_count :].mean()),
                kl=float((self.text.exp() * (self.text - steered)).sum(-1)[real].mean()),  # KL(unsteered ‖ steered)
            )
            for gains, steered in zip(odds - self.odds, texts, strict=True)
        ]
