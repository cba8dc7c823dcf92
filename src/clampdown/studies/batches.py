"""The work of a study, cut into batches that the plan alone decides."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from clampdown.engine.engine import Engine
from clampdown.engine.request import Sampling
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.studies.arms import FIXED_REFUSAL, Arm
from clampdown.studies.first import first_names
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Column, is_column
from clampdown.studies.rendered import Rendered, template_fingerprint

CODE = 6
"""Raise this whenever the same inputs would give another row: finished batches of older code are then not used."""
_PREFILL = 0.4
"""What a prompt token costs, in tokens generated."""
_SHARE = 8
"""Likelihood batches hold this many times fewer rows than answers do: they keep the logits of every position."""


@dataclass(frozen=True)
class Batch:
    """Some items under one arm, answered with one sampling seed: prompts of all sets together, other items by set.

    `asked` holds each row's set and the item's place in it; `key` hashes everything that decides the rows; `cost` is in
    tokens. `column` is there where the set has a way of its own to be asked. Batches of several arms with one `beside`
    are answered side by side, as one batch of the model's.
    """

    key: str
    arm: Arm
    asked: tuple[tuple[ItemSet, int], ...]
    number: int
    cost: int
    sample: int = 0
    column: Column | None = None
    beside: str = ""

    @property
    def kind(self) -> str:
        """Kind of set; `prompts` for the kinds that are answered and judged, `column` for a column's."""
        kind = self.asked[0][0].kind
        return "column" if self.column else "prompts" if kind.is_prompts else kind

    @property
    def places(self) -> list[int]:
        return [place for _, place in self.asked]

    @property
    def items(self) -> list[Item]:
        return [item_set.items[place] for item_set, place in self.asked]

    @property
    def recipes(self) -> list[Recipe | None]:
        return [self.arm.recipe_for(place) for _, place in self.asked]

    @property
    def title(self) -> str:
        """The arm and what it is asked, for people."""
        return f"{self.arm.label}: {self.what}"

    @property
    def what(self) -> str:
        """What is asked, for people."""
        names = dict.fromkeys(item_set.name for item_set, _ in self.asked)
        return next(iter(names)) if len(names) == 1 else "prompts"


def cut(
    model: ChatModel,
    arms: Sequence[Arm],
    sets: Sequence[ItemSet],
    plan: Plan,
    columns: Mapping[str, Column] | None = None,
    rendered: Rendered | None = None,
    engine: Engine | None = None,
) -> list[Batch]:
    """All batches of a study: the first arms' (see `first`), then the others'.

    Among each, those of several arms that are asked the same follow each other, unsteered first.

    columns: by the name of their set, which is among the sets.
    rendered: what the model reads of the items, where some of it is known already.
    engine: who answers, if not `generate`'s own loop.

    Raises:
        ClampdownError: a prompt is longer than the context.
    """
    own, read, same = columns or {}, rendered or Rendered(model, plan), decisive(model, engine)
    turn: dict[tuple[Any, ...], int] = {}
    found = []
    for arm in arms:
        system, mine = system_of(arm), [item_set for item_set in sets if measured(arm, item_set)]
        for group in _groups(mine):
            column = own.get(group[0].name)
            of = {} if column else {item_set.name: read.ids(item_set, system) for item_set in group}
            chunks = list(_of_column(column, arm, plan) if column else _chunks(arm, group, of, plan))
            for sample in range(samples(group[0], plan)):
                for number, asked in enumerate(chunks, sample * len(chunks)):
                    if column:
                        cost = sum(_column_cost(column, place, plan) for _, place in asked)
                    else:
                        new = 0 if arm.instead == "fixed-refusal" else plan.max_new_tokens  # no model is behind it
                        cost = sum(_cost(s, place, len(of[s.name][place]), new) for s, place in asked)
                    batch = Batch("", arm, asked, number, cost, sample, column)
                    turn.setdefault(together(batch), len(turn))
                    ids = [of[item_set.name][place] for item_set, place in asked] if of else []
                    found.append(replace(batch, key=_key(same, batch, plan, ids)))
    first = set(first_names([arm.name for arm in arms]))
    found.sort(key=lambda batch: (batch.arm.name not in first, turn[together(batch)], batch.sample))
    return list(_side_by_side(found, first, plan.arms_per_batch))


def swept(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """The batches in their order, those together that are run at once: side by side, or by a column for all arms."""
    for _, some in groupby(batches, lambda b: together(b) if b.column and b.column.sweeps else b.beside or b.key):
        yield list(some)


def samples(item_set: ItemSet, plan: Plan) -> int:
    """How often each item of a set is answered: what is scored by likelihood has nothing to sample."""
    return 1 if item_set.kind.is_scored else plan.samples


def measured(arm: Arm, item_set: ItemSet) -> bool:
    """Whether an arm can differ from no steering on a set: a mere system prompt can't on plain text.

    What does something else than edit (`Arm.instead`) is measured neither there nor on lm-eval's or lettered ones.
    """
    if arm.instead:
        return item_set.kind is not SetKind.TEXT and not is_column(item_set.name)
    return arm.name == "none" or arm.steered or item_set.kind is not SetKind.TEXT


def system_of(arm: Arm) -> str:
    """The arm's system prompt; all its draws share one. Empty for the model's own, as before a gate that gives one."""
    first = arm.recipes[0]
    return first.system_prompt if first and not arm.instead else ""


def sampling_of(plan: Plan, batch: Batch) -> Sampling:
    """How a batch's answers are sampled."""
    return Sampling(plan.max_new_tokens, plan.temperature, plan.seed + batch.sample)


def _groups(sets: Sequence[ItemSet]) -> Iterator[list[ItemSet]]:
    """The sets whose items may share a batch: prompts of all kinds, and every other set by itself."""
    prompts = [item_set for item_set in sets if item_set.kind.is_prompts]
    if prompts:
        yield prompts
    yield from ([item_set] for item_set in sets if not item_set.kind.is_prompts)


def _chunks(
    arm: Arm, group: Sequence[ItemSet], ids: dict[str, list[Sequence[int]]], plan: Plan
) -> Iterator[tuple[tuple[ItemSet, int], ...]]:
    """Items in chunks of equal rows, shortest prompts first, so that little is padding.

    Questions and passages are scored under one recipe a batch, so there the draws part first.
    """
    asked = [(item_set, place) for item_set in group for place in range(len(item_set.items))]
    asked.sort(key=lambda one: len(ids[one[0].name][one[1]]))
    if group[0].kind.is_prompts:
        yield from _cut(asked, plan.batch // plan.arms_per_batch)
        return
    for draw in range(len(arm.recipes)):
        mine = [one for one in asked if one[1] % len(arm.recipes) == draw]
        yield from _cut(mine, max(1, plan.batch // _SHARE))


def _side_by_side(batches: Sequence[Batch], first: Collection[str], most: int) -> Iterator[Batch]:
    """The batches, of prompts up to `most` arms' side by side where they are asked the same.

    Their keys then hash each other, since in low precision an answer depends on all that shares its batch.
    """

    def same(b: Batch) -> tuple[Any, ...]:
        return b.kind, b.arm.instead, b.arm.name in first, b.sample, together(b)

    for (kind, instead, *_), alike in groupby(batches, same):
        some = list(alike)
        size = most if kind == "prompts" and not instead else 1
        for group in (some[at : at + size] for at in range(0, len(some), size)):
            if len(group) == 1:
                yield group[0]
                continue
            beside = _digest([batch.key for batch in group])
            yield from (replace(batch, key=_digest([batch.key, beside]), beside=beside) for batch in group)


def _of_column(column: Column, arm: Arm, plan: Plan) -> Iterator[tuple[tuple[ItemSet, int], ...]]:
    for places in column.chunks(len(arm.recipes), plan):
        yield tuple((column.item_set, place) for place in places)


def _cut(asked: Sequence[tuple[ItemSet, int]], size: int) -> Iterator[tuple[tuple[ItemSet, int], ...]]:
    for start in range(0, len(asked), size):
        yield tuple(asked[start : start + size])


def together(batch: Batch) -> tuple[Any, ...]:
    """What arms that are asked the same have in common."""
    return system_of(batch.arm), *((item_set.name, place) for item_set, place in batch.asked)


def _cost(item_set: ItemSet, place: int, length: int, most: int) -> int:
    choices = sum(len(choice) for choice in item_set.items[place].choices) / 4  # four characters a token, or so
    new = 0 if item_set.kind.is_scored else most
    return round(new + _PREFILL * (length + choices))


def _column_cost(column: Column, place: int, plan: Plan) -> int:
    work = column.work(place, plan)
    return round(work.get("tokens_generated", 0) / samples(column.item_set, plan) + _PREFILL * work["tokens_read"])


def decisive(model: ChatModel, engine: Engine | None = None) -> list[Any]:
    """What of the model, and of the engine that answers, decides all rows alike."""
    told = [CODE, model.sha256, str(model.dtype), model.device.type, model.quantization]
    told += [dict(model.template_options or {}), sorted(model.stop_ids), model.context_length]
    return [*told, template_fingerprint(model), *([engine.version] if engine else [])]


def _key(same: Sequence[Any], batch: Batch, plan: Plan, ids: Sequence[Sequence[int]]) -> str:
    """The hash of all that decides a batch's rows. `ids` are its prompts' as rendered; a column renders as it goes."""
    arm = batch.arm
    recipes = [recipe.sha256 if recipe else "" for recipe in arm.recipes]
    made_by: list[Any] = [*same, arm.name, recipes, batch.number, vars(sampling_of(plan, batch)), ids]
    for (item_set, place), item in zip(batch.asked, batch.items, strict=True):
        made_by.append([item_set.name, item_set.kind, place, item.id, item.text, *item.choices])
    if arm.instead:
        made_by += [arm.instead, FIXED_REFUSAL]
    if batch.column:
        made_by += [batch.column.item_set.sha256, plan.batch]
    return _digest(made_by)


def _digest(made_by: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
