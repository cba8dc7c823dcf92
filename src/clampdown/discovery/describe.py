"""What a latent means: where it fires, and which tokens its decoder row promotes."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from clampdown.discovery.evidence import Evidence
from clampdown.discovery.logit_lens import logit_lens
from clampdown.discovery.tree import Level
from clampdown.models.chat_model import ChatModel
from clampdown.saes.sae import SAE

_BEFORE, _AFTER = 8, 4


class Context(NamedTuple):
    """A place where a latent fires: text before, the token itself, text after, and the activation."""

    before: str
    token: str
    after: str
    activation: float


def contexts(sae: SAE, evidence: Evidence, latents: Sequence[int], count: int = 3) -> list[list[Context]]:
    """The `count` strongest places of each latent, at most one a row of the evidence."""
    best: list[list[Context]] = [[] for _ in latents]
    for ids, x in _sequences(evidence):
        z = sae.encode_latents(x[1:].float(), latents)  # without the sink
        top = z.max(0)
        for i, (value, place) in enumerate(zip(top.values.tolist(), top.indices.tolist(), strict=True)):
            if value > 0:
                best[i].append(_context(evidence.model, ids, place + 1, value))
    return [_distinct(sorted(found, key=lambda c: -c.activation), count) for found in best]


def promoted(model: ChatModel, sae: SAE, latents: Sequence[int], count: int = 6) -> list[list[str]]:
    """Tokens that each decoder row pushes up most, by the logit lens."""
    top = logit_lens(model, sae, latents).topk(count, dim=-1).indices.tolist()
    return [[model.tokenizer.decode([token]).strip() or "␠" for token in row] for row in top]


def _sequences(evidence: Evidence) -> list[tuple[list[int], Tensor]]:
    text = [(ids[m].tolist(), x[m]) for ids, m, x in zip(*_real(evidence.text), strict=True)]
    return [*evidence.unsafe.rows(), *evidence.safe.rows(), *text]


def _real(level: Level) -> tuple[Tensor, Tensor, Tensor]:
    return level.ids, level.mask.bool(), level.x


def _context(model: ChatModel, ids: list[int], place: int, value: float) -> Context:
    def words(start: int, end: int) -> str:
        return model.tokenizer.decode(ids[max(0, start) : end], skip_special_tokens=True)

    return Context(
        before=words(place - _BEFORE, place),
        token=model.tokenizer.decode(ids[place : place + 1]),
        after=words(place + 1, place + 1 + _AFTER),
        activation=round(value, 2),
    )


def _distinct(found: list[Context], count: int) -> list[Context]:
    seen: dict[tuple[str, str], Context] = {}
    for context in found:
        seen.setdefault((context.before[-20:], context.token), context)
    return list(seen.values())[:count]
