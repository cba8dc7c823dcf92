"""The drift over answer letters: which of A to D the model picks for lettered questions, before and after an edit."""

from collections.abc import Sequence
from typing import Any

import torch

from clampdown.engine.request import Continuation
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.measuring.capability.letters import LETTERS, letter_counts, letter_prompt
from clampdown.measuring.sets.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe

_ROWS = 16


def letter_drift(model: ChatModel, items: Sequence[Item], recipe: Recipe) -> dict[str, Any]:
    """Of questions as `letters:` asks them, the letter that is likeliest to begin the answer.

    Returns:
        "n"; "right", "before" and "after": how often each letter is right, or taken; "mass_before" and "mass_after":
        the mean probability that the answer begins with any of its question's letters.
    """
    asked = [item for item in items if 1 < len(item.choices) <= len(LETTERS)]
    continuations = []
    for item in asked:
        prompt = model.prompt_ids(letter_prompt(item), system=recipe.system_prompt or None)
        continuations += [
            Continuation(prompt, tuple(model.text_ids(letter))) for letter in LETTERS[: len(item.choices)]
        ]
    told = sweep_loglikelihood(model, [None, recipe], continuations, batch_size=_ROWS).scores
    widest = max((len(item.choices) for item in asked), default=0)
    body: dict[str, Any] = {"n": len(asked), "right": letter_counts((item.answer for item in asked), widest)}
    for when, scores in zip(("before", "after"), told, strict=True):
        nats = [score.log_probability for score in scores]
        chosen, mass, start = [], 0.0, 0
        for item in asked:
            own = nats[start : start + len(item.choices)]
            start += len(own)
            chosen.append(own.index(max(own)))
            mass += float(torch.tensor(own, dtype=torch.float64).exp().sum())
        body[when] = letter_counts(chosen, widest)
        body[f"mass_{when}"] = mass / max(1, len(asked))
    return body
