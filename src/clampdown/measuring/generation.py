"""Answer prompts in batches: greedy or sampled, every row with its own recipe, each answer with its receipt."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.measuring.below import Below
from clampdown.measuring.opening import Opened, in_order, opened, read_together
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import choose_rows
from clampdown.recipe import Recipe
from clampdown.steering.receipt import Receipt


@dataclass(frozen=True)
class Answer:
    """What the model said: its text, its token ids, whether it stopped by itself, and the receipt."""

    text: str
    ids: tuple[int, ...]
    finished: bool
    receipt: Receipt


@dataclass(frozen=True)
class Sampling:
    """Greedy at temperature 0, else sampled with a seed; a row's draws depend on the seed and its place alone."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
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
    """
    if not prompts:
        return []
    groups = read_together(model, prompts)
    if len(groups) > 1:

        def answers(rows: list[int]) -> list[Answer]:
            return generate(model, [prompts[r] for r in rows], [recipes[r] for r in rows], sampling, below)

        return in_order(groups, answers)
    told: list[list[int]] = [[] for _ in prompts]
    with opened(model, prompts, recipes, sampling.max_new_tokens, below, roomy=True) as begun:
        for row, token in _tokens(model, begun, sampling):
            told[row].append(token)
    receipts = begun.steering.receipts()
    return [_answer(model, *row) for row in zip(prompts, told, receipts, strict=True)]


def stream(
    model: ChatModel, prompt: Sequence[int], recipe: Recipe | None, sampling: Sampling, write: Callable[[str], None]
) -> Answer:
    """The same for one prompt, handing each piece of text to `write` as soon as it is whole."""
    ids: list[int] = []
    shown = ""
    with opened(model, [prompt], [recipe], sampling.max_new_tokens, roomy=True) as begun:
        for _, token in _tokens(model, begun, sampling):
            ids.append(token)
            text = model.said(ids, prompt)
            if not text.endswith("\ufffd"):  # half of a character that takes several tokens
                write(text[len(shown) :])
                shown = text
    answer = _answer(model, prompt, ids, begun.steering.receipts()[0])
    write(answer.text[len(shown) :])
    return answer


def _answer(model: ChatModel, prompt: Sequence[int], ids: list[int], receipt: Receipt) -> Answer:
    finished = bool(ids) and ids[-1] in model.stop_ids
    return Answer(model.said(ids, prompt), tuple(ids), finished, receipt)


@torch.inference_mode()
def _tokens(model: ChatModel, begun: Opened, sampling: Sampling) -> Iterator[tuple[int, int]]:
    """(row, token) as they come; rows that ended leave the batch once a quarter of it has."""
    cache, logits, mask, position = begun.cache, begun.logits, begun.mask, begun.position
    rows = len(mask)
    alive = torch.arange(rows)
    ended = torch.zeros(rows, dtype=torch.bool)
    draw = torch.Generator().manual_seed(sampling.seed)
    for count in range(1, sampling.max_new_tokens + 1):
        # One number a row of the whole batch, so that a row's draws don't depend on when others end.
        chance = torch.rand(rows, generator=draw, dtype=torch.float64)[alive]
        tokens = _choose(logits[:, -1], sampling.temperature, chance)
        for place, token in enumerate(tokens.tolist()):
            if not ended[place]:
                yield int(alive[place]), token
                ended[place] = token in model.stop_ids
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
    if not torch.isfinite(logits.sum(-1, dtype=torch.float32)).all():  # one pass: a NaN or infinity stays in the sum
        raise ClampdownError("the model's logits are not finite; try a smaller clamp value, or --dtype float32")
    if temperature == 0:
        return logits.argmax(-1)
    exact = logits.cpu().double()
    above = (exact - exact.amax(-1, keepdim=True)) / temperature  # from the top, so nothing overflows
    reached = above.softmax(-1).cumsum(-1)
    # right: never a token of probability zero
    found = torch.searchsorted(reached, chance[:, None] * reached[:, -1:], right=True).squeeze(-1)
    return found.clamp_max(logits.shape[-1] - 1).to(logits.device)
