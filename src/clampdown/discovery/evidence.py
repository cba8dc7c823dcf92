"""What a candidate is judged by: teacher-forced refusals and compliances, and plain text, with their residuals.

The residual at the SAE's layer is computed once; a candidate then costs only the blocks above it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.models import residual
from clampdown.models.chat_model import Batch, ChatModel

REFUSAL = "I'm sorry, but I can't assist with that request."
COMPLIANCE = "Sure, here is a detailed answer to your question."
_TEXT_TOKENS = 96
_TEXT_STRIDE = 4

Delta = Callable[[Tensor], Tensor]
"""Maps residuals [tokens, d_model] to what an edit adds to them."""


class Scores(NamedTuple):
    """What an edit does: gains in log-odds of refusing (nats) on unsafe and safe prompts, KL on plain text (nats a token)."""

    unsafe_gain: float
    safe_gain: float
    kl: float

    @property
    def gap(self) -> float:
        return self.unsafe_gain - self.safe_gain


class Forced(NamedTuple):
    """Prompts continued by one answer each, left-padded, all answers equally long."""

    batch: Batch
    x: Tensor  # [row, position, d_model] residual after the layer
    answer_tokens: int

    def answer_x(self) -> Tensor:
        """Residuals on the answers' tokens: [row, answer token, d_model]."""
        return self.x[:, -self.answer_tokens :]

    def editable(self) -> Tensor:
        """Bool [row, position]: real tokens but the first of each row."""
        mask = self.batch.attention_mask
        return mask.bool() & (mask.cumsum(-1) > 1)

    def take(self, rows: Sequence[int]) -> "Forced":
        index = list(rows)
        return Forced(Batch(*(part[index] for part in self.batch)), self.x[index], self.answer_tokens)


class Pair(NamedTuple):
    """The same prompts, refused and complied with."""

    refused: Forced
    complied: Forced

    def take(self, rows: Sequence[int]) -> "Pair":
        return Pair(self.refused.take(rows), self.complied.take(rows))

    def __len__(self) -> int:
        return len(self.refused.x)


class Evidence(NamedTuple):
    """All that candidates are scored on."""

    model: ChatModel
    layer: int
    unsafe: Pair
    safe: Pair
    text: Forced

    def some(self, prompts: int, passages: int) -> "Evidence":
        """The first few prompts and passages only: a cheaper, rougher look."""
        rows = range(prompts)
        return self._replace(
            unsafe=self.unsafe.take([r for r in rows if r < len(self.unsafe)]),
            safe=self.safe.take([r for r in rows if r < len(self.safe)]),
            text=self.text.take(range(min(passages, len(self.text.x)))),
        )


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
    pairs = [Pair(force(model, layer, group, refusal), force(model, layer, group, compliance)) for group in (unsafe, safe)]
    rows = [ids for text in texts if len(ids := model.ids(text)[:_TEXT_TOKENS]) > 8]
    batch = model.pad(rows)
    return Evidence(model, layer, *pairs, Forced(batch, model.residual(batch, [layer])[0].clone(), 0))


def force(model: ChatModel, layer: int, prompts: Sequence[str], answer: str) -> Forced:
    """Prompts continued by `answer`, with the residual after `layer`."""
    told = model.ids(answer)
    batch = model.pad([model.prompt_ids(prompt) + told for prompt in prompts])
    # Cloned: a tensor made in inference mode can't take part in a graph later.
    return Forced(batch, model.residual(batch, [layer])[0].clone(), len(told))


def edited(forced: Forced, delta: Delta | None) -> Tensor:
    """The residual with the edit made at every editable position: [row, position, d_model]."""
    if delta is None:
        return forced.x
    mask = forced.editable()
    flat = forced.x[mask].float()
    return forced.x.index_put((mask,), (flat + delta(flat)).to(forced.x.dtype))


def answer_log_probability(model: ChatModel, layer: int, forced: Forced, x: Tensor) -> Tensor:
    """Log-probability of each row's answer (nats) when the residual after `layer` is x: [row]."""
    with residual.starting_from(model.hf, layer, x):
        out = model.hf(**_inputs(forced.batch), use_cache=False, logits_to_keep=forced.answer_tokens + 1)
    logits = out.logits[:, :-1].float().log_softmax(-1)
    targets = forced.batch.input_ids[:, -forced.answer_tokens :]
    return logits.gather(-1, targets[..., None]).squeeze(-1).sum(-1)


def log_odds(model: ChatModel, layer: int, pair: Pair, delta: Delta | None) -> Tensor:
    """Log-odds of refusing against complying, nats, each row: [row]."""
    refused, complied = (answer_log_probability(model, layer, f, edited(f, delta)) for f in pair)
    return refused - complied


def text_log_probabilities(model: ChatModel, layer: int, text: Forced, delta: Delta | None) -> Tensor:
    """Next-token log-probabilities at every fourth position: [row, place, vocabulary]."""
    keep = torch.arange(_TEXT_STRIDE, text.x.shape[1], _TEXT_STRIDE, device=text.x.device)
    with residual.starting_from(model.hf, layer, edited(text, delta)):
        out = model.hf(**_inputs(text.batch), use_cache=False, logits_to_keep=keep)
    return out.logits.float().log_softmax(-1)


def text_kl(model: ChatModel, layer: int, text: Forced, base: Tensor, delta: Delta) -> Tensor:
    """Mean KL(unsteered ‖ steered) on plain text, nats a token; `base` are the unsteered log-probabilities."""
    steered = text_log_probabilities(model, layer, text, delta)
    real = text.batch.attention_mask[:, _TEXT_STRIDE::_TEXT_STRIDE].bool()
    return (base.exp() * (base - steered)).sum(-1)[real].mean()


class Scorer:
    """Scores edits against evidence; what the unsteered model does is computed once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        with torch.no_grad():
            self.unsafe, self.safe = (self._odds(pair, None) for pair in (evidence.unsafe, evidence.safe))
            self.text = text_log_probabilities(evidence.model, evidence.layer, evidence.text, None)

    @torch.no_grad()
    def score(self, delta: Delta) -> Scores:
        e = self.evidence
        return Scores(
            unsafe_gain=float((self._odds(e.unsafe, delta) - self.unsafe).mean()),
            safe_gain=float((self._odds(e.safe, delta) - self.safe).mean()),
            kl=float(text_kl(e.model, e.layer, e.text, self.text, delta)),
        )

    def _odds(self, pair: Pair, delta: Delta | None) -> Tensor:
        return log_odds(self.evidence.model, self.evidence.layer, pair, delta)


def _inputs(batch: Batch) -> dict[str, Tensor]:
    return batch.as_inputs() | {"position_ids": (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)}
