"""The scorer on Transformers: log-likelihoods of given tokens (nats), running once what can be shared.

Three ways, each the cheapest for what it is asked: a question's choices go on from the question, read once; passages
run whole; and the same continuations under several recipes share the blocks that no recipe reaches (see `sharing`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.engine.blocks import Below, forward
from clampdown.engine.finite import NOT_FINITE
from clampdown.engine.prefill import after, alike, go_on, in_order, opened, read_together, shared_length
from clampdown.engine.request import Continuation, Question, Score, Swept
from clampdown.engine.sharing import Sweep
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import repeat_rows
from clampdown.models.prompt import Prompt, Spans, user_turns
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering
from clampdown.steering.receipt import Receipt

WORTH_SHARING = 8
"""Tokens that prompts must share before their keys and values are kept and copied."""


class LocalScorer:
    """Scores on a model of Transformers, in batches as they are asked.

    Args:
        below: shares the lower blocks with whoever was asked the same before; `continuations` have a way of their own.
        batch_size, max_length: of continuations, as `sweep_loglikelihood` has them.
    """

    def __init__(
        self, model: ChatModel, below: Below | None = None, *, batch_size: int = 16, max_length: int | None = None
    ) -> None:
        self.model, self.below, self.batch_size, self.max_length = model, below, batch_size, max_length

    def choices(self, questions: Sequence[Question], recipe: Recipe | None) -> list[list[float]]:
        """For each question the log-likelihood of every choice as its answer; one batch, where a model bears it.

        Raises:
            ClampdownError: a question and its longest choice exceed the context, the recipe does not fit, or logits
                are not finite.
        """
        widths: dict[int, list[int]] = {}
        for place, question in enumerate(questions):
            widths.setdefault(len(question.choices), []).append(place)
        groups = []
        for same in widths.values():
            parts = read_together(self.model, [questions[place].prompt for place in same])
            groups += [[same[place] for place in part] for part in parts]
        return in_order(groups, lambda places: self._choices([questions[place] for place in places], recipe))

    @torch.inference_mode()
    def _choices(self, questions: Sequence[Question], recipe: Recipe | None) -> list[list[float]]:
        """The same of questions with equally many choices. Their keys and values serve all of these."""
        rows, width = len(questions), len(questions[0].choices)
        answers = [choice for question in questions for choice in question.choices]
        prompts, tail = [question.prompt for question in questions], self.model.pad(answers, side="right")
        with opened(self.model, prompts, [recipe] * rows, max(map(len, answers)), self.below) as begun:
            repeat_rows(begun.cache, rows, width)
            begun.steering.fan_out(torch.arange(rows).repeat_interleave(width))
            inputs = after(begun.mask.repeat_interleave(width, 0), begun.position.repeat_interleave(width, 0), tail)
            asked = (*begun.asked, width, *map(tuple, answers))
            rest = go_on(self.model, begun.cache, inputs, self.below, asked)
        logits = torch.cat([begun.logits.repeat_interleave(width, 0), rest[:, :-1]], dim=1)
        scores = (_log_probability(logits, tail.input_ids) * tail.attention_mask).sum(-1)
        return scores.reshape(rows, width).tolist()

    @torch.inference_mode()
    def passages(self, rows: Sequence[Sequence[int]], recipe: Recipe | None) -> list[float]:
        """For each row of token ids the log-likelihood of all but its first token, a recipe's gate being forced open.

        That one counts as prompt, in which no user speaks, and the rest as answer, so that windows are seen.

        Raises:
            ClampdownError: the recipe does not fit, or logits are not finite.
        """
        batch, asked = self.model.pad(rows, side="right"), tuple(map(tuple, rows))
        under = [recipe and recipe.on_plain_text()] * len(rows)
        with Steering(self.model, under, prompt_lengths=[1] * len(rows), user_turns=[()] * len(rows)):
            logits = forward(self.model, self.below, "passages", asked, **batch.as_inputs(), use_cache=False).logits
        told = _log_probability(logits[:, :-1], batch.input_ids[:, 1:]) * batch.attention_mask[:, 1:]
        return told.sum(-1).tolist()

    def continuations(self, asked: Sequence[Continuation], recipes: Sequence[Recipe | None]) -> Swept:
        """Score every continuation under every recipe; see `sweep_loglikelihood`."""
        size, longest = self.batch_size, self.max_length
        return sweep_loglikelihood(self.model, recipes, asked, batch_size=size, max_length=longest)


def sweep_loglikelihood(
    model: ChatModel,
    recipes: Sequence[Recipe | None],
    requests: Sequence[Continuation],
    *,
    batch_size: int = 16,
    max_length: int | None = None,
    share_prefix: bool = True,
    saes: Sequence[SAE] = (),
) -> Swept:
    """Score every request under every recipe, as separate runs would.

    Rows go in batches of `batch_size`, longest first, so the batches depend on the requests alone. Requests that differ
    in their last token only share a row. The head runs only where an answer's token is predicted.

    Args:
        max_length: tokens of a row, default the model's context; longer requests lose their beginning.
        share_prefix: run what all prompts begin with once.
        saes: used by name before any is loaded.

    Raises:
        ClampdownError: a recipe that does not fit the model, an empty prompt or answer, or logits that are not finite.
    """
    rows = _rows(requests, max_length or model.context_length)
    order = sorted(rows, key=lambda row: (-len(row.ids), row.ids))
    shared = shared_length([row.ids[: row.prompt] for row in order]) if share_prefix and len(order) > 1 else 0
    shared = alike([row.ids.user for row in order], shared)
    prefix = order[0].ids[:shared] if shared >= WORTH_SHARING else ()
    scores: list[list[Score]] = [[Score(0.0, False)] * len(requests) for _ in recipes]
    receipts = [[Receipt(recipe.sha256 if recipe else "")] * len(requests) for recipe in recipes]
    sweep = Sweep(model, recipes, prefix, saes=saes) if order else None
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        assert sweep is not None
        ids, prompts = [row.ids for row in chunk], [row.prompt for row in chunk]
        for arm, (logits, taken) in enumerate(sweep.logits(ids, prompts, answers_only=True)):
            for place, score in _scores(logits, chunk, requests):
                scores[arm][place] = score
            for row, receipt in zip(chunk, taken, strict=True):
                receipts[arm][row.places[0]] = receipt
    return Swept(scores, receipts)


class _Row(NamedTuple):
    """One sequence to run: what goes in, how much of it is prompt, and the requests that it answers."""

    ids: Prompt
    prompt: int
    places: list[int]


def _rows(requests: Sequence[Continuation], longest: int) -> list[_Row]:
    """The sequences that the requests need: an answer's last token is only predicted, never fed in."""
    found: dict[tuple[Prompt, int, Spans | None], list[int]] = {}
    for place, (prompt, answer) in enumerate(requests):
        if not prompt or not 0 < len(answer) <= longest:
            raise ClampdownError(f"request {place} needs a prompt, and an answer of 1 to {longest} tokens")
        ids = (Prompt(prompt, user_turns(prompt)) + answer)[-(longest + 1) : -1]
        found.setdefault((ids, len(ids) - len(answer) + 1, ids.user), []).append(place)
    return [_Row(ids, length, places) for (ids, length, _), places in found.items()]


def _scores(logits: Tensor, rows: Sequence[_Row], requests: Sequence[Continuation]) -> Iterator[tuple[int, Score]]:
    """(place, score) of every request of a batch, from the logits [position, vocabulary] of its answers."""
    total = logits.float().logsumexp(-1)
    likeliest = logits.argmax(-1)
    start = 0
    for row in rows:
        here = slice(start, start := start + len(row.ids) - row.prompt + 1)
        for place in row.places:
            answer = torch.tensor(requests[place].answer, device=logits.device)
            told = logits[here].gather(-1, answer[:, None])[:, 0].float() - total[here]
            if not torch.isfinite(told).all():
                raise ClampdownError(NOT_FINITE)
            yield place, Score(float(told.sum()), bool((likeliest[here] == answer).all()))


def _log_probability(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each id, [row, position], in float32. Raises ClampdownError if one is not finite."""
    chosen = logits.gather(-1, ids[..., None]).squeeze(-1).float()
    total = torch.stack([row.float().logsumexp(-1) for row in logits])  # row by row: a whole batch takes gigabytes
    told = chosen - total
    if not torch.isfinite(told).all():
        raise ClampdownError(NOT_FINITE)
    return told
