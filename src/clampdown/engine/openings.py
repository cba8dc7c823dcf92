"""What chats open with, kept once it was read: half of a short prompt is the chat template's own words.

An opening is all that stands before what the user says first: the template's words and the system's. It is read by
itself, so its keys and values do not depend on who asks beside, and serve whoever opens alike: under every recipe that
leaves it alone, and under one that edits it by that recipe.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from clampdown.engine.gating import Gates
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import empty_cache, held_bytes, keeps_keys_only, put_side_by_side, roomy_cache
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.gates.compiled import CompiledGate
from clampdown.steering.gates.reading import Reading

ENDLESS = 1 << 40
"""A prompt length no row reaches: an opening is prompt, and not its last token."""
_WORTH = 4
"""Tokens from which on an opening is read by itself."""
_BYTES = 256 << 20
"""Of keys and values that are kept; what was not used for longest goes."""


@dataclass
class Opening:
    """An opening that was read under a recipe, or unsteered.

    Attributes:
        cache: its keys and values, of one row.
        steering: what it was read under, for what that did to its tokens.
        early: what gates take from it, by the hash of their files.
    """

    cache: Any
    steering: Steering
    early: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return held_bytes(self.cache)


class Openings:
    """Reads openings, and keeps them. For the thread that runs the model."""

    def __init__(self, model: ChatModel, most: int = _BYTES) -> None:
        self.model, self.most = model, most
        self._kept: OrderedDict[Hashable, Opening] = OrderedDict()
        self._serves = keeps_keys_only(model.hf)

    def length(self, prompt: Sequence[int], room: int) -> int:
        """How many tokens the opening of a prompt has that is worth keeping, else 0.

        room: how many tokens may follow the prompt. Where blocks look back less far, the padding between opening and
        rest would shorten their view.
        """
        turns, window = user_turns(prompt), self.model.window
        if not turns or not self._serves or (window is not None and window < len(prompt) + room):
            return 0
        opening = min(turns[0][0], len(prompt) - 1)
        return opening if opening >= _WORTH else 0

    def of_all(self, prompts: Sequence[Sequence[int]], room: int) -> int:
        """How many tokens all prompts of a batch open with that are worth keeping; 0 where they don't open alike.

        room: how many tokens may follow the longest.
        """
        longest = max(map(len, prompts)) + room
        lengths = {self.length(prompt, longest - len(prompt)) for prompt in prompts}
        length = lengths.pop()
        return length if not lengths and len({tuple(prompt[:length]) for prompt in prompts}) == 1 else 0

    @contextmanager
    def begun(
        self,
        prompts: Sequence[Sequence[int]],
        length: int,
        recipes: Sequence[Recipe | None],
        gates: Gates | None,
        *,
        room: int,
        roomy: bool,
        apart: bool,
    ) -> Iterator[tuple[Steering, Any, int, list[Reading]]]:
        """Begin every row with the opening of so many tokens that all share; `opened` says what the rest means.

        Yields the steering, which is on, the cache, how many tokens of every row it holds, and what scores the rest.
        """
        model, ids = self.model, prompts[0][:length]
        scored = [] if gates is None else list({gate.sha256: gate for gate in gates.scored.values()}.values())
        known = {recipe: self.read(ids, recipe, () if recipe else scored) for recipe in dict.fromkeys(recipes)}
        lengths, turns = list(map(len, prompts)), [user_turns(prompt) for prompt in prompts]
        steering = Steering(model, recipes, prompt_lengths=lengths, user_turns=turns, apart=apart, decided=True)
        steering.go_on_from([known[recipe].steering for recipe in recipes])
        with steering, torch.inference_mode():
            cache = (roomy_cache(model.hf, max(lengths) + room) if roomy else None) or empty_cache(model.hf)
            place = {recipe: at for at, recipe in enumerate(known)}
            put_side_by_side(cache, [opening.cache for opening in known.values()], [place[r] for r in recipes])
            yield steering, cache, length, gates.readings(length, known[None].early) if gates else []

    @torch.inference_mode()
    def read(self, ids: Sequence[int], recipe: Recipe | None, gates: Sequence[CompiledGate] = ()) -> Opening:
        """An opening (token ids) under a recipe; gates take from it what they look at, where it is read unsteered."""
        key = tuple(ids), _edits_of(recipe)
        found = self._kept.get(key)
        if found is None or any(gate.sha256 not in found.early for gate in gates):
            known = [] if found is None else found.early.items()
            found = self._read(ids, recipe, gates)
            found.early |= {sha256: early for sha256, early in known if sha256 not in found.early}
        if not found.steering.errors:  # else it says which recipe failed, and the next one may be called otherwise
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(one.bytes for one in self._kept.values()) > self.most:
                self._kept.popitem(last=False)
        return found

    def _read(self, ids: Sequence[int], recipe: Recipe | None, gates: Sequence[CompiledGate]) -> Opening:
        longer = [*ids, *ids[-1:]]  # of a prompt of one token more all of it is opening
        readings = [Reading(self.model, gate, [longer], [0], len(ids)) for gate in gates]
        steering = Steering(self.model, [recipe], prompt_lengths=[ENDLESS], user_turns=[()], apart=True, decided=True)
        cache = empty_cache(self.model.hf)
        with steering, ExitStack() as watching:
            for reading in readings:
                watching.enter_context(reading.opening(0))
            inputs = self.model.pad([ids]).as_inputs()
            self.model.hf(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return Opening(cache, steering, {reading.gate.sha256: reading.early for reading in readings})


def _edits_of(recipe: Recipe | None) -> Hashable:
    """What a recipe does to an opening: recipes that agree in it share one."""
    if recipe is None or recipe.positions.prompt != "all" or not recipe.edits:
        return None
    return recipe.name, recipe.edits, recipe.positions.sinks, recipe.positions.sink_norm
