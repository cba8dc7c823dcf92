"""Multiple choice the paper's way as a column: the model writes an answer, and its letter is read from it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.capability.letters import LETTERS as ALPHABET
from clampdown.measuring.capability.letters import extract_letter, letter_answers, letter_counts, letter_prompt
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, loops
from clampdown.measuring.sets.named.finding import reported_set
from clampdown.measuring.sets.sets import LETTERS, Item, ItemSet
from clampdown.studies.arms import Arm
from clampdown.studies.decisions import of_receipt
from clampdown.studies.measures import Rows
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Asked, cut, is_column
from clampdown.studies.store import Row


@dataclass(frozen=True)
class LetterColumn:
    """Questions whose choices are lettered in the prompt. A row's metric says whether the letter read is right."""

    item_set: ItemSet
    yes_or_no: bool = True
    sweeps: bool = False

    def chunks(self, draws: int, plan: Plan) -> Iterator[tuple[int, ...]]:
        """Batches of prompts about as long; each row has its own recipe, so the draws need not part."""
        del draws
        items = self.item_set.items
        yield from cut(sorted(range(len(items)), key=lambda place: len(letter_prompt(items[place]))), plan.batch)

    def work(self, place: int, plan: Plan) -> Mapping[str, int]:
        read = len(letter_prompt(self.item_set.items[place])) // 4
        return {"answers": 1, "tokens_generated": plan.max_new_tokens, "tokens_read": read}

    def run(self, asked: Asked, arms: Sequence[Arm]) -> list[list[Row]]:
        return [self._under(arm, asked) for arm in arms]

    def _under(self, arm: Arm, asked: Asked) -> list[Row]:
        plan = asked.plan
        items = [self.item_set.items[place] for place in asked.places]
        recipes = [arm.recipe_for(place) for place in asked.places]
        sampling = Sampling(plan.max_new_tokens, plan.temperature, plan.seed + asked.sample)
        answers = letter_answers(asked.model, items, recipes, sampling, asked.below, asked.engine)
        return [
            Row(
                place,
                item.id,
                place % len(arm.recipes),
                item.text,
                text=answer.text,
                finished=answer.finished,
                label=answer.label,
                judge=JUDGE_VERSION,
                receipt=answer.receipt.to_dict(),
                metrics={"accuracy": float(answer.chosen == item.answer)},
                looping=loops(item.text, answer.text),
                gate=of_receipt(answer.receipt.to_dict()),
            )
            for place, item, answer in zip(asked.places, items, answers, strict=True)
        ]


def letter_column(name: str, plan: Plan) -> LetterColumn:
    """The column of `letters:` and a set's name or file, at most the plan's number of its questions.

    Raises:
        ClampdownError: there is no such set, or a question has no choices or more than there are letters.
    """
    whole = reported_set("capability", Path(name.removeprefix(LETTERS)).expanduser())
    wrong = next((item for item in whole.items if not 0 < len(item.choices) <= len(ALPHABET)), None)
    if wrong is not None:
        raise ClampdownError(f"set {whole.name}: question {wrong.id} needs 2 to {len(ALPHABET)} choices to be lettered")
    asked = letter_prompt(whole.items[0])
    digest = hashlib.sha256(json.dumps([whole.sha256, asked]).encode()).hexdigest()
    source = f"{whole.source}, answered in words"
    item_set = ItemSet(LETTERS + whole.name, whole.kind, source, digest, whole.items)
    return LetterColumn(item_set.sample(plan.limit("capability"), plan.seed))


def letters(arms: Sequence[Arm], sets: Sequence[ItemSet], rows: Rows) -> list[dict[str, Any]]:
    """How often each choice was answered, and how often it is right: {"set", "right", "arms": [{"arm", "letters"}]}.

    Of tasks and of questions answered in words; a model that drifts to one letter shows here. By likelihood, the answer
    is the likeliest choice; in words, the letter read from them, or none.
    """
    found = []
    for item_set in sets:
        asked = [item for item in item_set.items if item.choices]
        if not (is_column(item_set.name) and asked):
            continue
        widest = max(len(item.choices) for item in asked)
        if widest > len(ALPHABET):
            continue
        told = []
        for arm in (arm for arm in arms if (arm.name, item_set.name) in rows):
            mine = [(item_set.items[row.place], row) for row in rows[arm.name, item_set.name]]
            chosen = [_chosen(item, row) for item, row in mine if item.choices]
            told.append({"arm": arm.name, "letters": letter_counts(chosen, widest)})
        right = letter_counts((item.answer if item.answer >= 0 else None for item in asked), widest)
        found.append({"set": item_set.name, "right": right, "arms": told})
    return found


def _chosen(item: Item, row: Row) -> int | None:
    return row.scores.index(max(row.scores)) if row.scores else extract_letter(row.text or "", item.choices, item.text)
