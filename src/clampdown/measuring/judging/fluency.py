"""How much an answer surprises the unsteered model: word salad that reads as English to rules does not to a model.

The measure is the mean negative log-likelihood of the answer's tokens, given the rendered prompt, under the model
without any recipe. Answers the model gives of its own accord say how high it may be: `surprise_limit`. They must be
sampled as the answers to be judged are: at temperature 1 a small model surprises itself as much as babble does.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from clampdown.engine.blocks import Below
from clampdown.engine.finite import NOT_FINITE_UNSTEERED
from clampdown.engine.prefill import Opened, after, go_on, opened, read_together
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import choose_rows, copied

_SHORTEST = 5
"""Tokens; the mean of fewer says little ("I refuse." is no babble, however rare), so they count as unsurprising."""
_ROWS = 16
"""Answers measured in one call: it keeps the logits of every position."""
ENOUGH = 50
"""The own answers that a limit needs."""
QUANTILE, MARGIN = 0.999, 1.1
"""The limit: this quantile of the model's own answers, times the margin."""


class Unsteered:
    """What the unsteered model makes of a batch of prompts (token ids), kept for all the arms that answer them.

    `room` is how many tokens an answer may have; `below` as for `opened`.

    Raises:
        ClampdownError: this thread steers the model already.
    """

    def __init__(
        self, model: ChatModel, prompts: Sequence[Sequence[int]], room: int, below: Below | None = None
    ) -> None:
        self.model, self.prompts = model, [list(prompt) for prompt in prompts]
        self._begun: list[tuple[list[int], Opened]] = []
        for rows in read_together(model, prompts):
            with opened(model, [prompts[r] for r in rows], [None] * len(rows), room, below) as begun:
                self._begun.append((rows, begun))

    @torch.inference_mode()
    def surprise(self, answers: Sequence[Sequence[int] | None]) -> list[float | None]:
        """The mean negative log-likelihood of each prompt's answer, in nats a token; None where none is given.

        answers: tokens as generated (Answer.ids). An end-of-turn token and those after the room are left out. Fewer
        than five tokens give 0.

        Raises:
            ClampdownError: the model's logits are not finite.
        """
        told = [None if answer is None else 0.0 for answer in answers]
        texts = [[token for token in answer or () if token not in self.model.stop_ids] for answer in answers]
        for group, begun in self._begun:
            long = [place for place, row in enumerate(group) if len(texts[row]) >= _SHORTEST]
            long.sort(key=lambda place: len(texts[group[place]]))
            for at in range(0, len(long), _ROWS):
                places = long[at : at + _ROWS]
                rows = [group[place] for place in places]
                for row, nats in zip(rows, self._nats(begun, places, [texts[r] for r in rows]), strict=True):
                    if not math.isfinite(nats):
                        raise ClampdownError(NOT_FINITE_UNSTEERED)
                    told[row] = nats
        return told

    def _nats(self, begun: Opened, rows: Sequence[int], texts: Sequence[Sequence[int]]) -> Iterator[float]:
        index = torch.tensor(rows)
        cache = copied(begun.cache)
        choose_rows(cache, index)
        index = index.to(begun.mask.device)
        tail = self.model.pad([text[:-1] for text in texts], side="right")  # the last token is only predicted
        inputs = after(begun.mask[index], begun.position[index], tail)
        with self.model.unsteered():
            rest = go_on(self.model, cache, inputs)
        for row, (text, logits) in enumerate(zip(texts, rest, strict=True)):
            # Row by row: float32 logits of a whole batch would take gigabytes.
            yield _mean_nats(torch.cat([begun.logits[index[row]], logits[: len(text) - 1]]), text)


def _mean_nats(logits: Tensor, text: Sequence[int]) -> float:
    right = torch.tensor(text, device=logits.device)[:, None]
    return float((logits.float().logsumexp(-1) - logits.gather(-1, right).squeeze(-1).float()).mean())


def answer_surprise(
    model: ChatModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], *, batch: int = 16
) -> list[float]:
    """The surprise of answers to prompts, both as token ids, in nats a token: `Unsteered.surprise`, in batches.

    Answers are cut at the model's context.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    told = [0.0] * len(prompts)
    for at in range(0, len(order), batch):
        rows = order[at : at + batch]
        room = model.context_length - max(len(prompts[i]) for i in rows)
        texts = [answers[i][:room] for i in rows]
        view = Unsteered(model, [prompts[i] for i in rows], max(map(len, texts)))
        for i, nats in zip(rows, view.surprise(texts), strict=True):
            told[i] = nats or 0.0
    return told


def surprise_limit(own: Sequence[float]) -> float:
    """The surprise above which an answer is incoherent, from that of the unsteered model's own answers.

    own: nats a token, of at least fifty answers given at the temperature of those that are to be judged.
    """
    measured = sorted(value for value in own if value > 0)
    if len(measured) < ENOUGH:
        raise ClampdownError(
            f"calibrating what is incoherent needs {ENOUGH} answers of five tokens, got {len(measured)}"
        )
    place = QUANTILE * (len(measured) - 1)
    low = math.floor(place)
    high = min(low + 1, len(measured) - 1)
    return MARGIN * (measured[low] + (place - low) * (measured[high] - measured[low]))
