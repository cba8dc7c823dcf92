"""What all prompts of a batch begin with, run once for each recipe instead of once for each row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering

_ENDLESS = 1 << 40
"""A prompt length no row reaches: what all prompts begin with is prompt, and not its last token."""


@contextmanager
def opened(
    model: ChatModel, prompts: Sequence[Sequence[int]], recipes: Sequence[Recipe | None], room: int
) -> Iterator[tuple[Steering, Any, int]]:
    """Run the tokens that all prompts begin with once for each distinct recipe, then fan out to the rows.

    Yields the steering, the cache, and how many tokens of every row the cache holds. A chat template's own opening is
    often half of a short prompt. `room` is how many tokens may follow the longest prompt: where blocks look back less
    far than that, nothing is shared, for the padding between opening and rest would shorten their view.
    """
    distinct = list(dict.fromkeys(recipes))
    shared = shared_length(prompts)
    near = model.window is not None and model.window < max(map(len, prompts)) + room
    if near or len(prompts) < 2 * len(distinct) or shared < 4:
        with Steering(model, recipes, prompt_lengths=[len(p) for p in prompts]) as steering:
            yield steering, None, 0
        return
    opening = model.pad([prompts[0][:shared]] * len(distinct))
    with Steering(model, distinct, prompt_lengths=[_ENDLESS] * len(distinct)) as steering, torch.inference_mode():
        cache = model.hf(**opening.as_inputs(), use_cache=True, logits_to_keep=1).past_key_values
        rows = torch.tensor([distinct.index(recipe) for recipe in recipes])
        cache.batch_select_indices(rows)
        steering.fan_out(rows, [len(p) for p in prompts])
        yield steering, cache, shared


def shared_length(rows: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all rows share, leaving each at least one of its own."""
    most = min(map(len, rows)) - 1
    return next((i for i in range(most) if len({row[i] for row in rows}) > 1), most)
