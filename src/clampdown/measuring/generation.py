"""Answer prompts in batches: greedy or sampled, every row with its own recipe, each answer with its receipt."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.measuring.below import Below
from clampdown.measuring.finite import NOT_FINITE, NOT_FINITE_UNSTEERED, not_finite
from clampdown.measuring.opening import Opened, in_order, opened, read_together
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import choose_rows
from clampdown.models.speech import Speech
from clampdown.recipe import Recipe
from clampdown.steering.receipt import Receipt


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes:
        text: its text; nothing where there is an error.
        ids: its token ids.
        finished: whether it stopped by itself.
        receipt: what steering did.
        error: why there is no answer, where what was computed for this prompt is not finite; else nothing.
    """

    text: str
    ids: tuple[int, ...]
    finished: bool
    receipt: Receipt
    error: str = ""


class Unanswered(ClampdownError):
    """Some of several prompts got no answer.

    Attributes:
        answers: one for each prompt, in order; those that failed have an `error` and no text.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        errors = [answer.error for answer in answers if answer.error]
        some = f"{len(errors)} of {len(answers)} prompts got no answer: " if len(errors) < len(answers) else ""
        super().__init__(some + errors[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.answers,)


@dataclass(frozen=True)
class Sampling:
    """Greedy at temperature 0, else sampled with a seed; a row's draws depend on the seed and its place alone."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = [key for key in ("max_new_tokens", "seed") if type(getattr(self, key)) is not int]
        if wrong or not isinstance(self.temperature, int | float):
            raise ClampdownError(f"{wrong[0] if wrong else 'temperature'} must be a {'whole ' if wrong else ''}number")
        if self.max_new_tokens < 1:
            raise ClampdownError(f"the answer needs at least one token, got {self.max_new_tokens}")
        if not 0 <= self.temperature < math.inf:
            raise ClampdownError(f"temperature must be a number from 0, got {self.temperature}")
        if not 0 <= self.seed < 2**63:
            raise ClampdownError(f"a seed must be a whole number from 0 to 2^63, got {self.seed}")


def generate(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    recipes: Sequence[Recipe | None],
    sampling: Sampling,
    below: Below | None = None,
) -> list[Answer]:
    """Answers to rendered prompts (token ids), row r under recipes[r], as one batch.

    below: shares the prompts' way through the lower blocks with whoever was asked the same just before.

    Raises:
        ClampdownError: prompts and answers do not fit the context, or a recipe does not fit the model.
        Unanswered: something was not finite for some rows, once the others are answered.
    """
    return all_answered(generate_apart(model, prompts, recipes, sampling, below))


def all_answered(answers: list[Answer]) -> list[Answer]:
    """The answers. Raises Unanswered if one has an error."""
    if any(answer.error for answer in answers):
        raise Unanswered(answers)
    return answers


def generate_apart(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    recipes: Sequence[Recipe | None],
    sampling: Sampling,
    below: Below | None = None,
) -> list[Answer]:
    """The same, but a row for which something was not finite says so in its answer's `error`."""
    if not prompts:
        return []
    groups = read_together(model, prompts)
    if len(groups) > 1:

        def answers(rows: list[int]) -> list[Answer]:
            return generate_apart(model, [prompts[r] for r in rows], [recipes[r] for r in rows], sampling, below)

        return in_order(groups, answers)
    told: list[list[int]] = [[] for _ in prompts]
    with opened(model, prompts, recipes, sampling.max_new_tokens, below, roomy=True, apart=True) as begun:
        errors = begun.steering.errors
        for row, token in _tokens(model, begun, sampling, errors):
            told[row].append(token)
    receipts = begun.steering.receipts()
    rows = enumerate(zip(prompts, told, receipts, strict=True))
    return [_answer(model, *row, errors.get(place, "")) for place, row in rows]


def stream(
    model: ChatModel, prompt: Sequence[int], recipe: Recipe | None, sampling: Sampling, write: Callable[[str], None]
) -> Answer:
    """The same for one prompt, handing each piece of text to `write` as soon as it is whole."""
    speech = Speech(model, prompt)
    with opened(model, [prompt], [recipe], sampling.max_new_tokens, roomy=True) as begun:
        for _, token in _tokens(model, begun, sampling, begun.steering.errors):
            piece = speech.add(token)
            if piece is not None:
                write(piece)
    answer = _answer(model, prompt, speech.ids, begun.steering.receipts()[0], begun.steering.errors.get(0, ""))
    all_answered([answer])
    write(speech.rest())
    return answer


def _answer(model: ChatModel, prompt: Sequence[int], ids: list[int], receipt: Receipt, error: str = "") -> Answer:
    if error:
        return Answer("", (), False, receipt, error)
    finished = bool(ids) and ids[-1] in model.stop_ids
    return Answer(model.said(ids, prompt), tuple(ids), finished, receipt)


@torch.inference_mode()
def _tokens(model: ChatModel, begun: Opened, sampling: Sampling, errors: dict[int, str]) -> Iterator[tuple[int, int]]:
    """(row, token) as they come; rows that ended leave the batch once a quarter of it has.

    A row with an entry in `errors` has ended; rows whose logits are not finite get one.
    """
    cache, logits, mask, position = begun.cache, begun.logits, begun.mask, begun.position
    rows = len(mask)
    alive = torch.arange(rows)
    ended = torch.zeros(rows, dtype=torch.bool)
    draw = torch.Generator().manual_seed(sampling.seed)
    for count in range(1, sampling.max_new_tokens + 1):
        # One number a row of the whole batch, so that a row's draws don't depend on when others end.
        chance = torch.rand(rows, generator=draw, dtype=torch.float64)[alive]
        if bad := [int(alive[place]) for place in not_finite(logits[:, -1]) if not ended[place]]:
            begun.steering.settle()  # whose own word comes first
            for row in bad:
                errors.setdefault(row, NOT_FINITE if begun.steering.rows.recipes[row] else NOT_FINITE_UNSTEERED)
        tokens = _choose(logits[:, -1], sampling.temperature, chance)
        for place, token in enumerate(tokens.tolist()):
            if not ended[place]:
                row = int(alive[place])
                if row not in errors:
                    yield row, token
                ended[place] = row in errors or token in model.stop_ids
        if ended.all() or count == sampling.max_new_tokens:
            return
        if ended.sum() * 4 >= len(ended):
            going = (~ended).nonzero().squeeze(-1)
            choose_rows(cache, going)
            begun.steering.keep_rows(going)
            tokens, mask, position, alive, ended = (
                t[going.to(t.device)] for t in (tokens, mask, position, alive, ended)
            )
        # A row that ended is fed padding until it leaves, so its receipt does not depend on its neighbours either.
        mask = torch.cat([mask, (~ended[:, None]).to(mask)], dim=1)
        position = position + 1
        logits = model.hf(
            input_ids=tokens[:, None],
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits


def _choose(logits: Tensor, temperature: float, chance: Tensor) -> Tensor:
    """The likeliest token of each row, or the one at `chance` (0 to 1, one a row) of its cumulative distribution."""
    if temperature == 0:
        return logits.argmax(-1)
    exact = logits.cpu().double()
    above = (exact - exact.amax(-1, keepdim=True)) / temperature  # from the top, so nothing overflows
    reached = above.softmax(-1).cumsum(-1)
    # right: never a token of probability zero
    found = torch.searchsorted(reached, chance[:, None] * reached[:, -1:], right=True).squeeze(-1)
    return found.clamp_max(logits.shape[-1] - 1).to(logits.device)
