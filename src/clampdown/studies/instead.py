"""Rows of arms in which a gate stands before something that is no edit, and of gated questions.

Where a gate is shut, a row is that of `none`, so that the two are equal to the bit and not only to rounding.
"""

from collections.abc import Sequence
from dataclasses import replace

from clampdown.engine.blocks import Below
from clampdown.engine.engine import Engine
from clampdown.engine.generation import generate
from clampdown.engine.request import Answer
from clampdown.measuring.capability.likelihood import choice_scores
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, Label, judge, loops
from clampdown.measuring.judging.fluency import answer_surprise
from clampdown.measuring.sets.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.steering.decision import Decision
from clampdown.steering.receipt import Receipt
from clampdown.studies.arms import FIXED_REFUSAL
from clampdown.studies.batches import Batch, sampling_of
from clampdown.studies.decisions import of_decision
from clampdown.studies.plan import Plan
from clampdown.studies.store import Row


def instead_answers(
    model: ChatModel,
    plan: Plan,
    batch: Batch,
    decisions: Sequence[Decision],
    unsteered: Sequence[Row],
    engine: Engine | None = None,
) -> list[Row]:
    """The batch's rows, from what the gate said of the prompts as `none` is asked them.

    engine: who answers where it opened; see `generate`.
    """
    recipe = _recipe(batch)
    rows = [
        _noted(row, decision, Receipt(**(row.receipt or {})))
        for row, decision in zip(unsteered, decisions, strict=True)
    ]
    opened = [r for r, decision in enumerate(decisions) if decision.steers]
    if batch.arm.instead == "fixed-refusal":
        said = [Answer(FIXED_REFUSAL, (), True, Receipt()) for r in opened]
        surprise: Sequence[float | None] = [None] * len(said)
    else:
        asked = [
            model.prompt_ids(batch.items[r].text, system=recipe.system_prompt, room=plan.max_new_tokens) for r in opened
        ]
        said = generate(model, asked, [None] * len(asked), sampling_of(plan, batch), draws=opened, engine=engine)
        surprise = answer_surprise(model, asked, [answer.ids for answer in said])
    for r, answer, nats in zip(opened, said, surprise, strict=True):
        rows[r] = _noted(_answered(rows[r], batch.items[r], answer, nats), decisions[r], answer.receipt)
    return rows


def gated_questions(
    model: ChatModel, batch: Batch, recipe: Recipe, decisions: Sequence[Decision], below: Below | None
) -> list[Row]:
    """The batch's questions under a recipe with a gate, or what stands in place of its edits behind the same gate.

    All are scored both ways that are wanted, so that each row is to the bit that of no steering or of the gate forced
    open. An open gate before a fixed refusal counts as wrong, for that would have been the answer.
    """
    items, instead = batch.items, batch.arm.instead
    opened = {r for r, decision in enumerate(decisions) if decision.steers}
    fixed = instead == "fixed-refusal"
    shut: Sequence[list[float]] = [[]] * len(items)
    if fixed or len(opened) < len(items):
        shut = choice_scores(model, items, None if instead else recipe.deciding("shut"), below)
    if fixed:
        rows = _scored(batch, shut, decisions)
        right = [score.index(max(score)) == item.answer for score, item in zip(shut, items, strict=True)]
        return [replace(row, metrics={"accuracy": float(r not in opened and right[r])}) for r, row in enumerate(rows)]
    told = shut
    if opened:
        told = choice_scores(model, items, replace(recipe, gate=None) if instead else recipe.deciding("open"), below)
    return _scored(batch, [told[r] if r in opened else shut[r] for r in range(len(items))], decisions)


def _recipe(batch: Batch) -> Recipe:
    [recipe] = batch.arm.recipes
    assert recipe is not None and recipe.gate is not None
    return recipe


def _scored(batch: Batch, scores: Sequence[list[float]], decisions: Sequence[Decision]) -> list[Row]:
    return [
        Row(place, item.id, place % len(batch.arm.recipes), item.text, scores=score, gate=of_decision(decision))
        for (_, place), item, score, decision in zip(batch.asked, batch.items, scores, decisions, strict=True)
    ]


def _answered(row: Row, item: Item, answer: Answer, surprise: float | None) -> Row:
    label = judge(item.text, answer.text, truncated=not answer.finished)
    return replace(
        row,
        text=answer.text,
        finished=answer.finished,
        label=str(label),
        judge=JUDGE_VERSION,
        surprise=surprise if label is Label.COMPLIANCE else None,
        looping=loops(item.text, answer.text),
    )


def _noted(row: Row, decision: Decision, receipt: Receipt) -> Row:
    """The row with what the gate said, in its receipt too."""
    return replace(row, draw=0, gate=of_decision(decision), receipt=decision.noted(receipt).to_dict())
