"""How much an answer surprises the unsteered model: word salad that reads as English to rules does not to a model.

The measure is the mean negative log-likelihood of the answer's tokens, given the rendered prompt, under the model
without any recipe. Answers the model gives of its own accord say how high it may be: `surprise_limit`. They must be
sampled as the answers to be judged are: at temperature 1 a small model surprises itself as much as babble does.
"""

import math
from collections.abc import Sequence

import torch

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel

_SHORTEST = 5
"""Tokens; the mean of fewer says little ("I refuse." is no babble, however rare), so they count as unsurprising."""
QUANTILE, MARGIN = 0.999, 1.1
"""The limit: this quantile of the model's own answers, times the margin."""


@torch.inference_mode()
def answer_surprise(
    model: ChatModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], *, batch: int = 16
) -> list[float]:
    """Mean negative log-likelihood of each answer under the unsteered model, in nats a token.

    prompts: rendered, as token ids; answers: their tokens as generated (Answer.ids). An end-of-turn token and those
    after the model's context are left out. Fewer than five tokens give 0. The model must not be steered meanwhile.

    Raises:
        ClampdownError: the model's logits are not finite.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + len(answers[i]))
    told = [0.0] * len(prompts)
    for at in range(0, len(order), batch):
        rows = order[at : at + batch]
        texts = [[token for token in answers[i] if token not in model.stop_ids] for i in rows]
        texts = [text[: max(0, model.context_length - len(prompts[i]))] for i, text in zip(rows, texts, strict=True)]
        longest = max(map(len, texts))
        if longest < _SHORTEST:
            continue
        padded = model.pad([[*prompts[i], *text] for i, text in zip(rows, texts, strict=True)])
        position = (padded.attention_mask.cumsum(-1) - 1).clamp_min(0)
        logits = model.hf(
            **padded.as_inputs(), position_ids=position, use_cache=False, logits_to_keep=longest + 1
        ).logits[:, :-1]
        for row, (i, text) in enumerate(zip(rows, texts, strict=True)):
            if len(text) >= _SHORTEST:  # row by row: float32 logits of a whole batch would take gigabytes
                mine = logits[row, longest - len(text) :].float()
                right = torch.tensor(text, device=mine.device)[:, None]
                nats = (mine.logsumexp(-1) - mine.gather(-1, right).squeeze(-1)).mean().item()
                if not math.isfinite(nats):
                    raise ClampdownError("the model's logits are not finite; try --dtype float32")
                told[i] = nats
    return told


def surprise_limit(own: Sequence[float]) -> float:
    """The surprise above which an answer is incoherent, from that of the unsteered model's own answers.

    own: nats a token, of at least a hundred answers given at the temperature of those that are to be judged.
    """
    measured = sorted(value for value in own if value > 0)
    if len(measured) < 100:
        raise ClampdownError(f"calibrating what is incoherent needs 100 answers of five tokens, got {len(measured)}")
    place = QUANTILE * (len(measured) - 1)
    low = math.floor(place)
    high = min(low + 1, len(measured) - 1)
    return MARGIN * (measured[low] + (place - low) * (measured[high] - measured[low]))
