"""Log-likelihoods of the same requests under several recipes, running once what the recipes share (see `sharing`)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.engine.finite import NOT_FINITE
from clampdown.engine.prefill import alike, shared_length
from clampdown.engine.sharing import Sweep
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt, Spans, user_turns
from clampdown.recipe import Recipe
from clampdown.steering.receipt import Receipt

WORTH_SHARING = 8
"""Tokens that prompts must share before their keys and values are kept and copied."""


class Request(NamedTuple):
    """Token ids of a prompt, and of the answer whose log-likelihood after it is asked."""

    prompt: Sequence[int]
    answer: Sequence[int]


class Score(NamedTuple):
    """The answer's log-likelihood (nats), and whether greedy decoding would give it."""

    log_probability: float
    greedy: bool


class Swept(NamedTuple):
    """Scores and receipts, [recipe][request] each. What several requests share is in the first one's receipt."""

    scores: list[list[Score]]
    receipts: list[list[Receipt]]


def sweep_loglikelihood(
    model: ChatModel,
    recipes: Sequence[Recipe | None],
    requests: Sequence[Request],
    *,
    batch_size: int = 16,
    max_length: int | None = None,
    share_prefix: bool = True,
) -> Swept:
    """Score every request under every recipe, as separate runs would.

    Rows go in batches of `batch_size`, longest first, so the batches depend on the requests alone. Requests that differ
    in their last token only share a row. The head runs only where an answer's token is predicted.

    Args:
        max_length: tokens of a row, default the model's context; longer requests lose their beginning.
        share_prefix: run what all prompts begin with once.

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
    sweep = Sweep(model, recipes, prefix) if order else None
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


def _rows(requests: Sequence[Request], longest: int) -> list[_Row]:
    """The sequences that the requests need: an answer's last token is only predicted, never fed in."""
    found: dict[tuple[Prompt, int, Spans | None], list[int]] = {}
    for place, (prompt, answer) in enumerate(requests):
        if not prompt or not 0 < len(answer) <= longest:
            raise ClampdownError(f"request {place} needs a prompt, and an answer of 1 to {longest} tokens")
        ids = (Prompt(prompt, user_turns(prompt)) + answer)[-(longest + 1) : -1]
        found.setdefault((ids, len(ids) - len(answer) + 1, ids.user), []).append(place)
    return [_Row(ids, length, places) for (ids, length, _), places in found.items()]


def _scores(logits: Tensor, rows: Sequence[_Row], requests: Sequence[Request]) -> Iterator[tuple[int, Score]]:
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
