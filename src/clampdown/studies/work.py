"""The work of a study, cut into batches that the plan alone decides, and doing one of them."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clampdown.measuring.generation import Sampling, generate
from clampdown.measuring.judge import JUDGE_VERSION, judge
from clampdown.measuring.likelihood import choice_scores, text_nats
from clampdown.measuring.sets import Item, ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.studies.arms import Arm
from clampdown.studies.plan import Plan
from clampdown.studies.store import Row

CODE = 1
"""Raise this whenever the same inputs would give another row: finished batches of older code are then not used."""
_PREFILL = 0.4
"""What a prompt token costs, in tokens generated."""
_SHARE = 4
"""Likelihood batches hold this many times fewer rows than answers do: they keep the logits of every position."""


@dataclass(frozen=True)
class Batch:
    """Some items of one set under one arm, answered with one sampling seed.

    `key` hashes everything that decides their rows; `cost` is in tokens.
    """

    key: str
    arm: Arm
    item_set: ItemSet
    number: int
    places: tuple[int, ...]
    cost: int
    sample: int = 0

    @property
    def items(self) -> list[Item]:
        return [self.item_set.items[place] for place in self.places]

    @property
    def recipes(self) -> list[Recipe | None]:
        return [self.arm.recipe_for(place) for place in self.places]


def cut(model: ChatModel, arms: Sequence[Arm], sets: Sequence[ItemSet], plan: Plan) -> list[Batch]:
    """All batches of a study, set by set within an arm. Raises ClampdownError for a prompt longer than the context."""
    lengths: dict[tuple[str, str], list[int]] = {}
    found = []
    for arm in arms:
        for item_set in sets:
            if not measured(arm, item_set):
                continue
            system = system_of(arm)
            if (system, item_set.name) not in lengths:
                lengths[system, item_set.name] = [
                    _length(model, item, item_set.kind, system, plan) for item in item_set.items
                ]
            of = lengths[system, item_set.name]
            chunks = list(_chunks(arm, item_set, of, plan))
            for sample in range(samples(item_set, plan)):
                for number, places in enumerate(chunks, sample * len(chunks)):
                    cost = sum(_cost(item_set, place, of, plan) for place in places)
                    batch = Batch("", arm, item_set, number, places, cost, sample)
                    found.append(replace(batch, key=_key(model, batch, plan)))
    return found


def samples(item_set: ItemSet, plan: Plan) -> int:
    """How often each item of a set is answered: what is scored by likelihood has nothing to sample."""
    return 1 if item_set.kind in ("capability", "text") else plan.samples


def measured(arm: Arm, item_set: ItemSet) -> bool:
    """Whether an arm can differ from no steering on a set: a mere system prompt can't on plain text."""
    return arm.name == "none" or arm.steered or item_set.kind != "text"


def system_of(arm: Arm) -> str:
    """The arm's system prompt; all its draws share one. Empty for the model's own."""
    first = arm.recipes[0]
    return first.system_prompt if first else ""


def run(model: ChatModel, batch: Batch, plan: Plan) -> list[Row]:
    """The rows of one batch, in the order of its places."""
    do = {"capability": _questions, "text": _passages}.get(batch.item_set.kind, _answers)
    return do(model, batch, plan)


def _answers(model: ChatModel, batch: Batch, plan: Plan) -> list[Row]:
    system = system_of(batch.arm) or None
    prompts = [model.prompt_ids(item.text, system=system, room=plan.max_new_tokens) for item in batch.items]
    answers = generate(model, prompts, batch.recipes, _sampling(plan, batch.sample))
    rows = []
    for head, item, answer in zip(_heads(batch), batch.items, answers, strict=True):
        label = str(judge(item.text, answer.text, truncated=not answer.finished))
        receipt = answer.receipt.to_dict()
        rows.append(Row(*head, answer.text, answer.finished, label, JUDGE_VERSION, receipt))
    return rows


def _questions(model: ChatModel, batch: Batch, _plan: Plan) -> list[Row]:
    scores = choice_scores(model, batch.items, batch.recipes[0])
    return [Row(*head, scores=score) for head, score in zip(_heads(batch), scores, strict=True)]


def _passages(model: ChatModel, batch: Batch, _plan: Plan) -> list[Row]:
    told = text_nats(model, [item.text for item in batch.items], batch.recipes[0])
    return [Row(*head, nats=nats, bytes=covered) for head, (nats, covered) in zip(_heads(batch), told, strict=True)]


def _heads(batch: Batch) -> Iterator[tuple[int, str, int, str]]:
    draws = len(batch.arm.recipes)
    for place, item in zip(batch.places, batch.items, strict=True):
        yield place, item.id, place % draws, item.text


def _sampling(plan: Plan, sample: int) -> Sampling:
    return Sampling(plan.max_new_tokens, plan.temperature, plan.seed + sample)


def _chunks(arm: Arm, item_set: ItemSet, lengths: Sequence[int], plan: Plan) -> Iterator[tuple[int, ...]]:
    """Places in chunks of equal rows, shortest prompts first, so that little is padding.

    Questions and passages are scored under one recipe a batch, so there the draws part first.
    """
    places = sorted(range(len(item_set.items)), key=lambda place: (lengths[place], place))
    if item_set.kind not in ("capability", "text"):
        yield from _cut(places, plan.batch)
        return
    for draw in range(len(arm.recipes)):
        mine = [place for place in places if place % len(arm.recipes) == draw]
        yield from _cut(mine, max(1, plan.batch // _SHARE))


def _cut(places: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(places), size):
        yield tuple(places[start : start + size])


def _length(model: ChatModel, item: Item, kind: str, system: str, plan: Plan) -> int:
    """Tokens of an item's prompt, or of a passage."""
    if kind == "text":
        return len(model.ids(item.text))
    room = 64 if kind == "capability" else plan.max_new_tokens
    return len(model.prompt_ids(item.text, system=system or None, room=room))


def _cost(item_set: ItemSet, place: int, lengths: Sequence[int], plan: Plan) -> int:
    choices = sum(len(choice) for choice in item_set.items[place].choices) / 4  # four characters a token, or so
    new = 0 if item_set.kind in ("capability", "text") else plan.max_new_tokens
    return round(new + _PREFILL * (lengths[place] + choices))


def _key(model: ChatModel, batch: Batch, plan: Plan) -> str:
    arm, item_set = batch.arm, batch.item_set
    recipes = [recipe.sha256 if recipe else "" for recipe in arm.recipes]
    rows = [[place, item.id, item.text, *item.choices] for place, item in zip(batch.places, batch.items, strict=True)]
    made_by: list[Any] = [CODE, model.sha256, str(model.dtype), model.device.type, arm.name, recipes]
    made_by += [model.quantization, dict(model.template_options or {})]
    made_by += [item_set.name, item_set.kind, batch.number, rows, vars(_sampling(plan, batch.sample))]
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
