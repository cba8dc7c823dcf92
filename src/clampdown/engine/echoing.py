"""A text that is read and not answered: how likely each of its tokens was, as a passage is scored."""

from collections.abc import Generator, Sequence

import torch

from clampdown.engine.chances import chances_of
from clampdown.engine.finite import NOT_FINITE, not_finite
from clampdown.engine.request import Chance
from clampdown.errors import ClampdownError
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import empty_cache
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.gates.asking import asks
from clampdown.steering.receipt import Receipt

Read = tuple[list[Chance], list[tuple[int, float]], Receipt]
_AT_ONCE = 256
"""Tokens whose logits are held at once: of a large vocabulary each takes hundreds of kilobytes."""


def passage_chances(model: ChatModel, ids: Sequence[int], recipe: Recipe | None, likeliest: int) -> Read:
    """What `passage_parts` gives, at one go."""
    parts = passage_parts(model, ids, recipe, likeliest)
    while True:
        try:
            next(parts)
        except StopIteration as over:
            read: Read = over.value
            return read


def passage_parts(
    model: ChatModel, ids: Sequence[int], recipe: Recipe | None, likeliest: int
) -> Generator[None, None, Read]:
    """Of a passage (token ids) each token's chance but the first one's; what is likeliest after the last; the receipt.

    It yields between parts of a few hundred tokens, when others may use the model.
    The first token counts as prompt, in which no user speaks, and the rest as answer, so that windows are seen.
    likeliest: how many of the likeliest tokens are told in each place; after the last, one at least.

    Raises:
        ClampdownError: the recipe does not fit, its gate would score a prompt, the passage exceeds the context, or
            logits are not finite.
    """
    if asks(recipe) and recipe is not None:
        raise ClampdownError(
            f"recipe {recipe.name} has a gate that decides on a prompt, and a text that is only read is none: force it "
            "open or shut"
        )
    if not 0 < len(ids) <= model.context_length:
        raise ClampdownError(f"the text has {len(ids)} tokens; the model's context holds 1 to {model.context_length}")
    width = _AT_ONCE if bearing(model.hf).parts else len(ids)
    cache = empty_cache(model.hf) if width < len(ids) else None
    found: list[Chance] = []
    steering = Steering(model, [recipe], prompt_lengths=[1], user_turns=[()])
    for start in range(0, len(ids), width):
        if start:
            yield
        with steering, torch.inference_mode():
            some = torch.tensor([list(ids[start : start + width])], device=model.device)
            end = start + some.shape[1]
            logits = model.hf(
                input_ids=some,
                attention_mask=some.new_ones(1, end),
                past_key_values=cache,
                use_cache=cache is not None,
            ).logits[0]
            if not_finite(logits):
                raise ClampdownError(NOT_FINITE)
            found += chances_of(
                logits, [*ids[start + 1 : end + 1], *([0] if end == len(ids) else [])], max(1, likeliest)
            )
    *known, after = found
    told = [chance._replace(likeliest=chance.likeliest[:likeliest]) for chance in known]
    return told, list(after.likeliest), steering.receipts()[0]
