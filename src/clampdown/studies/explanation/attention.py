"""How far an edit turns the attention of the blocks above it.

At each place and head the share of attention that moved to other tokens, half of Σ|p′ − p| (total variation, 0 to 1);
the mean over heads, blocks above the edit, and places of ordinary prompts with the beginning of an answer. Weights of
attention exist under the plain ("eager") implementation only, which is taken for this alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE
from clampdown.engine.blocks import Split
from clampdown.engine.padding import RightPadded
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering

_PROMPTS = 2


class Attention:
    """The attention of ordinary prompts, unsteered and ready to be asked under recipes that edit from one layer on.

    Attributes:
        known: whether this model tells its attention at all.
    """

    def __init__(self, model: ChatModel, layer: int, system: str, seed: int, saes: Sequence[SAE] = ()) -> None:
        self.model, self.saes = model, saes
        starts = [model.prompt_ids(p, system=system or None) for p in selecting_prompts("safe", _PROMPTS, seed)]
        self.lengths, self.turns = [len(ids) for ids in starts], [ids.user for ids in starts]
        batch = model.pad([ids + model.ids(COMPLIANCE) for ids in starts], side="right")
        self.mask = batch.attention_mask
        columns = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
        self.inputs = {
            "input_ids": batch.input_ids,
            "position_ids": columns.expand(len(starts), -1),
            "use_cache": False,
        }
        self.split = Split(model, layer)
        self.x = self.split.lower(self.inputs)
        self.plain = self._weights(None)
        self.known = bool(self.plain)

    def turned(self, recipe: Recipe) -> float | None:
        """The share of attention that the recipe moves; None where this model does not tell."""
        if not self.known:
            return None
        pairs = zip(self.plain, self._weights(recipe), strict=True)
        return sum(moved(before, after, self.mask) for before, after in pairs) / len(self.plain)

    @torch.inference_mode()
    def _weights(self, recipe: Recipe | None) -> list[Tensor]:
        """[row, head, place, place] of each block above the edit."""
        count = len(self.lengths)
        steering = Steering(self.model, [recipe] * count, user_turns=self.turns, saes=self.saes)
        steering.tracker = RightPadded(self.lengths, self.mask, self.turns)
        with eager(self.model.hf), steering:
            out = self.split.upper(self.x, self.inputs | {"output_attentions": True, "logits_to_keep": 1})
        return [weights for weights in out.attentions or () if isinstance(weights, Tensor)]


def moved(before: Tensor, after: Tensor, mask: Tensor) -> float:
    """Mean total variation between attention weights [row, head, place, place] over places that the mask holds."""
    distance = (after.float() - before.float()).abs().sum(-1).mean(1) / 2
    return float(distance[mask.bool().to(distance.device)].mean())


@contextmanager
def eager(hf: Any) -> Iterator[None]:
    """Within, the model computes attention in the plain way, which tells its weights."""
    before = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    try:
        yield
    finally:
        hf.set_attn_implementation(before)
