"""Answer prompts in batches: greedy or sampled, every row with its own recipe, each answer with its receipt."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.measuring.opening import opened
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering
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
    """Greedy at temperature 0, else sampled with a seed."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ClampdownError(f"the answer needs at least one token, got {self.max_new_tokens}")
        if self.temperature < 0:
            raise ClampdownError(f"temperature must not be negative, got {self.temperature}")


def generate(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    recipes: Sequence[Recipe | None],
    sampling: Sampling,
) -> list[Answer]:
    """Answers to rendered prompts (token ids), row r under recipes[r], as one batch."""
    told: list[list[int]] = [[] for _ in prompts]
    with opened(model, prompts, recipes) as (steering, cache, shared):
        for row, token in _tokens(model, prompts, sampling, steering, cache, shared):
            told[row].append(token)
    receipts = steering.receipts()
    return [_answer(model, ids, receipt) for ids, receipt in zip(told, receipts, strict=True)]


def stream(
    model: ChatModel, prompt: Sequence[int], recipe: Recipe | None, sampling: Sampling, write: Callable[[str], None]
) -> Answer:
    """The same for one prompt, handing each piece of text to `write` as soon as it is whole."""
    ids: list[int] = []
    shown = ""
    with Steering(model, [recipe], prompt_lengths=[len(prompt)]) as steering:
        for _, token in _tokens(model, [prompt], sampling, steering):
            ids.append(token)
            text = model.tokenizer.decode(ids, skip_special_tokens=True)
            if not text.endswith("\ufffd"):  # half of a character that takes several tokens
                write(text[len(shown) :])
                shown = text
    answer = _answer(model, ids, steering.receipts()[0])
    write(answer.text[len(shown) :])
    return answer


def _answer(model: ChatModel, ids: list[int], receipt: Receipt) -> Answer:
    finished = bool(ids) and ids[-1] in model.stop_ids
    return Answer(model.tokenizer.decode(ids, skip_special_tokens=True), tuple(ids), finished, receipt)


@torch.inference_mode()
def _tokens(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    steering: Steering,
    cache: Any = None,
    shared: int = 0,
) -> Iterator[tuple[int, int]]:
    """(row, token) as they come; rows that ended leave the batch once a quarter of it has.

    The cache, where given, holds the first `shared` tokens of every row.
    """
    batch = model.pad([prompt[shared:] for prompt in prompts])
    step = batch.input_ids
    mask = torch.cat([batch.attention_mask.new_ones(len(prompts), shared), batch.attention_mask], dim=1)
    position = (mask.cumsum(-1) - 1).clamp_min(0)[:, shared:]
    alive = torch.arange(len(prompts))
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    draw = torch.Generator(model.device).manual_seed(sampling.seed)
    for count in range(sampling.max_new_tokens):
        out = model.hf(
            input_ids=step,
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        tokens = _choose(out.logits[:, -1], sampling, draw)
        for place, token in enumerate(tokens.tolist()):
            if not ended[place]:
                yield int(alive[place]), token
                ended[place] = token in model.stop_ids
        if ended.all() or count + 1 == sampling.max_new_tokens:
            return
        if ended.sum() * 4 >= len(ended):
            rows = (~ended).nonzero().squeeze(-1)
            cache.batch_select_indices(rows.to(model.device))
            steering.keep_rows(rows)
            tokens, mask, position, alive, ended = (
                t[rows.to(t.device)] for t in (tokens, mask, position, alive, ended)
            )
        step = tokens[:, None]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        position = position[:, -1:] + 1


def _choose(logits: Tensor, sampling: Sampling, draw: torch.Generator) -> Tensor:
    if not torch.isfinite(logits).all():
        raise ClampdownError("the model's logits are not finite; try a smaller clamp value, or --dtype float32")
    if sampling.temperature == 0:
        return logits.argmax(-1)
    weights = (logits.float() / sampling.temperature).softmax(-1)
    return torch.multinomial(weights, 1, generator=draw).squeeze(-1)
