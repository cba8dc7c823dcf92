"""Questions under recipes that leave the prompt but its last token alone: what comes before is read once for all.

Nothing before the first edited token depends on the recipe, in any block. So each question's beginning is read once,
unsteered; under each recipe only its last token and the choices run, and of these only the blocks above the edit.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.engine.blocks import Split
from clampdown.engine.finite import NOT_FINITE
from clampdown.engine.prefill import read_together
from clampdown.errors import ClampdownError
from clampdown.models.bearing import bearing
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import choose_rows, copied, empty_cache, hollow_lower
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering
from clampdown.steering.positions import Places
from clampdown.steering.receipt import Receipt, joined
from clampdown.studies.explanation.inputs import Material

_QUESTIONS = 48


def begins_late(model: ChatModel, recipes: Sequence[Recipe], material: Material) -> bool:
    """Whether all recipes leave the prompt but its last token alone, and the model bears being read in parts."""
    late = all(recipe.positions.prompt in ("last", "none") and recipe.gate is None for recipe in recipes)
    long = all(len(prompt) > 1 for prompt in material.prompts)
    return late and long and bearing(model.hf).parts and len(read_together(model, material.prompts)) == 1


class _Begun(NamedTuple):
    """A batch of questions read but for their last tokens; a row for each distinct beginning of a choice.

    Attributes:
        cache: of the blocks above the edit; what lies below is hollow.
        x: residuals after the edit's layer of the last token and the choices, [row, column, d_model].
        inputs: ids, mask and positions of these columns.
        places: for steering.
        row: of each choice, by question.
    """

    cache: Any
    x: Tensor
    inputs: dict[str, Tensor]
    places: Places
    row: list[list[int]]
    choices: list[tuple[tuple[int, ...], ...]]


class FromLast:
    """The questions of a material, begun."""

    def __init__(self, model: ChatModel, layer: int, material: Material, saes: Sequence[SAE] = ()) -> None:
        self.model, self.saes, self.split = model, saes, Split(model, layer)
        places = range(len(material.items))
        order = sorted(places, key=lambda place: len(material.prompts[place]))
        self.batches = [order[start : start + _QUESTIONS] for start in range(0, len(order), _QUESTIONS)]
        self.count = len(order)
        self.begun = [self._begin(material, batch) for batch in self.batches]

    @torch.inference_mode()
    def under(self, recipe: Recipe | None) -> tuple[list[list[float]], Receipt]:
        """Each question's choices' log-probabilities in nats, and one receipt of what ran here."""
        found: list[list[float]] = [[] for _ in range(self.count)]
        receipts = []
        for batch, begun in zip(self.batches, self.begun, strict=True):
            steering = Steering(self.model, [recipe] * len(begun.x), saes=self.saes, decided=True)
            steering.expect(begun.places)
            with steering:
                out = self.split.upper(begun.x, begun.inputs | {"past_key_values": copied(begun.cache)})
            receipts += steering.receipts()
            told = out.logits.float().log_softmax(-1)
            for place, rows, choices in zip(batch, begun.row, begun.choices, strict=True):
                found[place] = [_score(told[row], choice) for row, choice in zip(rows, choices, strict=True)]
        if not all(abs(score) < float("inf") for own in found for score in own):
            raise ClampdownError(NOT_FINITE)
        return found, joined(receipts)

    @torch.inference_mode()
    def _begin(self, material: Material, batch: Sequence[int]) -> _Begun:
        prompts, choices = [material.prompts[p] for p in batch], [material.choices[p] for p in batch]
        first = self.model.pad([prompt[:-1] for prompt in prompts])
        position = (first.attention_mask.cumsum(-1) - 1).clamp_min(0)
        cache = empty_cache(self.model.hf)
        inputs = {**first.as_inputs(), "position_ids": position, "past_key_values": cache}
        with self.model.unsteered():
            self.model.hf(**inputs, use_cache=True, logits_to_keep=1)
        heads = [list(dict.fromkeys(choice[:-1] for choice in own)) for own in choices]
        owner = torch.tensor([n for n, own in enumerate(heads) for _ in own])
        tails = [(prompts[n][-1], *head) for n, own in enumerate(heads) for head in own]
        last = self.model.pad(tails, side="right")
        owner = owner.to(first.attention_mask.device)
        choose_rows(cache, owner)
        length = torch.tensor([len(prompts[n]) for n in owner.tolist()], device=owner.device)[:, None]
        places = length - 1 + torch.arange(last.input_ids.shape[1], device=owner.device)
        asked = {
            "input_ids": last.input_ids,
            "attention_mask": torch.cat([first.attention_mask[owner], last.attention_mask], dim=1),
            "position_ids": places,
            "use_cache": True,
        }
        x = self.split.lower(asked | {"past_key_values": copied(cache)})
        hollow_lower(cache, self.split.layer)
        real = last.attention_mask.bool()
        nobody = torch.zeros_like(real)  # the last token is the template's, and what follows it an answer
        seen = Places(real, places, length, begun=True, user=nobody)
        return _Begun(cache, x, asked, seen, list(_rows(heads, choices)), choices)


def _rows(heads: Sequence[Any], choices: Sequence[Any]) -> Iterator[list[int]]:
    """The row that tells each choice's tokens, question by question."""
    start = 0
    for own, asked in zip(heads, choices, strict=True):
        yield [start + own.index(choice[:-1]) for choice in asked]
        start += len(own)


def _score(told: Tensor, choice: Sequence[int]) -> float:
    """The log-probability of a choice's tokens from a row's [column, vocabulary]."""
    return float(sum(told[column, token] for column, token in enumerate(choice)))
