"""Capability without generating: which choice the model finds likeliest, and how well it predicts plain text."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.measuring.below import Below, forward
from clampdown.measuring.finite import NOT_FINITE
from clampdown.measuring.opening import after, go_on, in_order, opened, read_together
from clampdown.measuring.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import repeat_rows
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering


@torch.inference_mode()
def choice_scores(
    model: ChatModel, items: Sequence[Item], recipe: Recipe | None, below: Below | None = None
) -> list[list[float]]:
    """For each question the log-likelihood (nats) of every choice as the assistant's answer, per character.

    The question runs once; its keys and values then serve all its choices. Dividing by characters is lm-eval's
    `acc_norm`, so long choices are not punished. below: shares the lower blocks with whoever was asked the same before.
    """
    if not items:
        return []
    counts = {len(item.choices) for item in items}
    if len(counts) > 1:
        parts = {n: choice_scores(model, [i for i in items if len(i.choices) == n], recipe, below) for n in counts}
        return [parts[len(item.choices)].pop(0) for item in items]
    width = counts.pop()
    system = recipe.system_prompt if recipe else None
    answers = [model.text_ids(choice) for item in items for choice in item.choices]
    room = max(64, *map(len, answers))
    prompts = [model.prompt_ids(item.text, system=system, room=room) for item in items]
    groups = read_together(model, prompts)
    if len(groups) > 1:
        return in_order(groups, lambda some: choice_scores(model, [items[i] for i in some], recipe, below))
    tail = model.pad(answers, side="right")
    with opened(model, prompts, [recipe] * len(items), max(map(len, answers)), below) as begun:
        repeat_rows(begun.cache, len(items), width)
        begun.steering.fan_out(torch.arange(len(items)).repeat_interleave(width))
        inputs = after(begun.mask.repeat_interleave(width, 0), begun.position.repeat_interleave(width, 0), tail)
        rest = go_on(model, begun.cache, inputs, below, (*begun.asked, width, *map(tuple, answers)))
    logits = torch.cat([begun.logits.repeat_interleave(width, 0), rest[:, :-1]], dim=1)
    scores = (_log_probability(logits, tail.input_ids) * tail.attention_mask).sum(-1)
    lengths = torch.tensor([max(1, len(choice)) for item in items for choice in item.choices])
    return (scores.cpu() / lengths).reshape(len(items), width).tolist()


@torch.inference_mode()
def text_nats(
    model: ChatModel, texts: Sequence[str], recipe: Recipe | None, below: Below | None = None
) -> list[tuple[float, int]]:
    """For each passage its negative log-likelihood (nats), first token left out, and the bytes it covers.

    Passages are raw text, without the chat template; bits per byte is nats / (bytes · ln 2).
    """
    rows = [model.text_ids(text)[: model.context_length] for text in texts]
    batch = model.pad(rows, side="right")
    with Steering(model, [recipe] * len(rows)):
        logits = forward(model, below, "passages", tuple(map(tuple, rows)), **batch.as_inputs(), use_cache=False).logits
    told = _log_probability(logits[:, :-1], batch.input_ids[:, 1:]) * batch.attention_mask[:, 1:]
    covered = [len(model.tokenizer.decode(row[1:]).encode()) for row in rows]
    return list(zip((-told.sum(-1)).tolist(), covered, strict=True))


def bits_per_byte(nats: float, covered: int) -> float:
    """Nats over bytes, in bits per byte."""
    return nats / (covered * math.log(2))


def _log_probability(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each id, [row, position], in float32. Raises ClampdownError if one is not finite."""
    chosen = logits.gather(-1, ids[..., None]).squeeze(-1).float()
    total = torch.stack([row.float().logsumexp(-1) for row in logits])  # row by row: a whole batch takes gigabytes
    told = chosen - total
    if not torch.isfinite(told).all():
        raise ClampdownError(NOT_FINITE)
    return told
