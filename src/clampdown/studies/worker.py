"""Doing one batch of a study: answers judged, questions and passages scored, columns asked in their own way."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from clampdown.engine.blocks import Below
from clampdown.engine.deciding import decided
from clampdown.engine.engine import Engine
from clampdown.engine.generation import generate
from clampdown.engine.request import Answer
from clampdown.measuring.capability.likelihood import choice_scores, passage_ids, question_ids, text_nats
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, Label, judge, loops
from clampdown.measuring.judging.fluency import Unsteered
from clampdown.measuring.judging.outside_gate import OutsideGate, brought
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Recipe
from clampdown.steering.decision import Decision
from clampdown.studies.arms import Arm
from clampdown.studies.batches import Batch, sampling_of, system_of
from clampdown.studies.decisions import Gate, of_decision, of_receipt
from clampdown.studies.instead import gated_questions, instead_answers
from clampdown.studies.measures import keyed
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Asked
from clampdown.studies.store import Row

Found = dict[str, list[Row]]
"""A batch's rows by the name of their set."""


class Done(NamedTuple):
    """Batches that were run at once, what each gave, and the seconds that they took together."""

    group: Sequence[Batch]
    found: Sequence[Found]
    seconds: float


class Worker:
    """Does batch after batch, and keeps from one to the next what arms that are asked the same share.

    kept: the finished rows of an arm on a set, by their names; where a gate is shut, those of `none` are looked up.
    outside: who is asked where a gate decides outside.
    engine: who answers prompts; None for `generate`'s own loop. Likelihoods, lm-eval's tasks, and what a gate says
        where the engine does not answer, are the model's own.
    """

    def __init__(
        self,
        model: ChatModel,
        arms: Sequence[Arm],
        plan: Plan,
        kept: Callable[[str, str], Sequence[Row]] = lambda arm, item_set: (),
        outside: OutsideGate | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.model, self.plan, self.kept, self.outside, self.engine = model, plan, kept, outside, engine
        self.below = Below(model, [recipe for arm in arms for recipe in arm.recipes])
        self._view: Unsteered | None = None
        self._turned_to: Hashable = None

    def do(self, group: Sequence[Batch]) -> list[Found]:
        """The rows of batches that are run at once (see `batches.swept`)."""
        return self.sweep(group) if len(group) > 1 else [self.run(group[0])]

    def run(self, batch: Batch) -> Found:
        """The rows of one batch."""
        if batch.column or batch.kind == "prompts":
            return self.sweep([batch])[0]
        self._turn_to(("set", batch.kind))
        return _by_set(batch, (self._questions if batch.kind == SetKind.CAPABILITY else self._passages)(batch))

    def sweep(self, batches: Sequence[Batch]) -> list[Found]:
        """The rows of batches that ask the same prompts or one column the same, each under an arm of its own."""
        first = batches[0]
        if first.column is None:
            self._turn_to(("set", first.kind))
            return [_by_set(batch, rows) for batch, rows in zip(batches, self._answers(batches), strict=True)]
        self._turn_to(("column", first.column.item_set.name))
        asked = Asked(self.model, self.plan, first.places, first.sample, self.below, self.outside, self.engine)
        found = first.column.run(asked, [batch.arm for batch in batches])
        return [{first.column.item_set.name: rows} for rows in found]

    def _turn_to(self, work: Hashable) -> None:
        """Free what was kept for other work: hundreds of megabytes that only prompts need, say."""
        if work != self._turned_to:
            self._turned_to, self._view = work, None
            self.below.forget()

    def _answers(self, batches: Sequence[Batch]) -> list[list[Row]]:
        """Side by side; all draw alike, whatever stands beside them."""
        first, many = batches[0], len(batches)
        system, room = system_of(first.arm) or None, self.plan.max_new_tokens
        prompts = [self.model.prompt_ids(item.text, system=system, room=room) for item in first.items]
        if first.arm.instead:
            told = self._decided(first, prompts, first.arm.recipes[0])
            return [instead_answers(self.model, self.plan, first, told, self._unsteered(first), self.engine)]
        recipes, draws = [recipe for batch in batches for recipe in batch.recipes], [*range(len(prompts))] * many
        sampling = sampling_of(self.plan, first)
        said = brought(self.outside, recipes, [_chat(item) for item in first.items] * many)
        answers = generate(self.model, prompts * many, recipes, sampling, self.below, said, draws, self.engine)
        parts = [answers[at : at + len(prompts)] for at in range(0, len(answers), len(prompts))]
        return [self._judged(batch, prompts, part) for batch, part in zip(batches, parts, strict=True)]

    def _judged(self, batch: Batch, prompts: list[Prompt], answers: Sequence[Answer]) -> list[Row]:
        labels = [judge(i.text, a.text, truncated=not a.finished) for i, a in zip(batch.items, answers, strict=True)]
        surprise = self._surprise(batch, prompts, answers, labels)
        return [
            self._row(batch, r, text=a.text, finished=a.finished, label=str(labels[r]), judge=JUDGE_VERSION,
                      receipt=a.receipt.to_dict(), surprise=surprise[r], looping=loops(batch.items[r].text, a.text),
                      gate=of_receipt(a.receipt.to_dict()))
            for r, a in enumerate(answers)
        ]  # fmt: skip

    def _surprise(
        self, batch: Batch, prompts: list[Prompt], answers: Sequence[Answer], labels: Sequence[Label]
    ) -> list[float | None]:
        """The unsteered model's surprise at answers that pass for compliance; at all of its own, for comparison."""
        if self._view is None or self._view.prompts != prompts:
            self._view = None  # its memory first
            self._view = Unsteered(self.model, prompts, self.plan.max_new_tokens, self.below)
        asked = [batch.arm.name == "none" or label is Label.COMPLIANCE for label in labels]
        return self._view.surprise([a.ids if ask else None for a, ask in zip(answers, asked, strict=True)])

    def _questions(self, batch: Batch) -> list[Row]:
        recipe = batch.recipes[0]
        if recipe is None or recipe.gate is None:
            scores = choice_scores(self.model, batch.items, recipe, self.below)
            return [self._row(batch, r, scores=score) for r, score in enumerate(scores)]
        system = None if batch.arm.instead else recipe.system_prompt or None
        told = self._decided(batch, question_ids(self.model, batch.items, system), recipe)
        return gated_questions(self.model, batch, recipe, told, self.below)

    def _passages(self, batch: Batch) -> list[Row]:
        texts, recipe = [item.text for item in batch.items], batch.recipes[0]
        said: list[Gate | None] = [None] * len(texts)
        if recipe is not None and recipe.gate is not None:
            decisions = self._decided(batch, passage_ids(self.model, texts), recipe)
            said = [of_decision(decision) for decision in decisions]
        told = text_nats(self.model, texts, recipe, self.below)
        return [self._row(batch, r, nats=nats, bytes=covered, gate=said[r]) for r, (nats, covered) in enumerate(told)]

    def _decided(self, batch: Batch, prompts: Sequence[Sequence[int]], recipe: Recipe | None) -> list[Decision]:
        """What the recipe's gate says of the batch's items, rendered so."""
        assert recipe is not None
        said = brought(self.outside, [recipe] * len(prompts), [_chat(item) for item in batch.items])
        return decided(self.model, prompts, recipe, said)

    def _unsteered(self, batch: Batch) -> list[Row]:
        """What `none` answered to the same items; it comes first (see `cut`)."""
        names = {item_set.name for item_set, _ in batch.asked}
        found = {name: dict(keyed(self.kept("none", name))) for name in names}
        return [found[item_set.name][place, batch.sample] for item_set, place in batch.asked]

    def _row(self, batch: Batch, place_in_batch: int, **found: object) -> Row:
        (_, place), item = batch.asked[place_in_batch], batch.items[place_in_batch]
        return Row(place, item.id, place % len(batch.arm.recipes), item.text, **found)  # type: ignore[arg-type]


def _chat(item: Item) -> list[dict[str, str]]:
    return [{"role": "user", "content": item.text}]


def _by_set(batch: Batch, rows: Sequence[Row]) -> Found:
    found: Found = {item_set.name: [] for item_set, _ in batch.asked}
    for (item_set, _), row in zip(batch.asked, rows, strict=True):
        found[item_set.name].append(row)
    return found
