"""Questions and plain passages: what opens the gate, and what the clamp then costs."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from answers import Known, told
from figures import digits
from prompts import rows_of

from clampdown.discovery.gates.scores import prompt_scores
from clampdown.measuring.capability.likelihood import bits_per_byte, choice_scores, text_nats
from clampdown.measuring.sets.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Recipe
from clampdown.steering.gates.compiled import compile_gate

FILES = {"hellaswag": "hellaswag_sample", "piqa": "piqa_test", "openbookqa": "openbookqa_test"}
FILES |= {"arc": "arc_challenge_train"}
SHOTS, BATCH, CHARACTERS = 5, 32, 2000


class Questions:
    """Questions of a set, asked as chats, and behind five answered ones as raw text."""

    def __init__(self, model: ChatModel, recipe: Recipe, known: Sequence[Known] = ()) -> None:
        self.model, self.open, self.gate = model, recipe.deciding("open"), compile_gate(model, recipe)
        self.known = known

    def rows(
        self, data: Path, limit: int, forced: int, plain: int, seed: int
    ) -> dict[str, Callable[[], dict[str, Any]]]:
        def one(name: str, file: str) -> Callable[[], dict[str, Any]]:
            return lambda: self.measured(name, rows_of(data / f"capability/{file}.jsonl"), limit, forced, seed)

        found = {name: one(name, file) for name, file in FILES.items()}
        passages = data / "corpus/wikitext2_test.jsonl"
        return found | {"wikitext": lambda: self.passages([row["text"] for row in rows_of(passages)][:plain])}

    def measured(self, name: str, rows: list[dict[str, Any]], limit: int, forced: int, seed: int) -> dict[str, Any]:
        """The set's record. The clamp answers what opens the gate, and the first `forced` whatever it says."""
        random.Random(f"{seed} {name}").shuffle(rows)
        items = [question(row, name, number) for number, row in enumerate(rows)]
        items, shown = items[:limit], items[limit : limit + SHOTS]
        shots = "".join(f"Question: {q.text}\nAnswer: {q.choices[q.answer]}\n\n" for q in shown)
        opened = self.opens([self.model.prompt_ids(item.text) for item in items])
        raw = self.opens([Prompt(self.model.text_ids(f"{shots}Question: {item.text}\nAnswer:")) for item in items])
        steered = sorted({*np.flatnonzero(opened).tolist(), *range(min(forced, len(items)))})
        hits = {"open": digits(opened), "open, five-shot": digits(raw)}
        for arm, recipe, places in (("none", None, list(range(len(items)))), ("edit", self.open, steered)):
            found = told(self.known, name, arm, places, len(items))
            left = [place for place in places if place not in found]
            found |= dict(zip(left, self.right([items[place] for place in left], recipe), strict=True))
            hits[arm] = digits([found[place] for place in places], places, len(items))
        return {"kind": "questions", "n": len(items), "ungated": forced, "hits": hits}

    def opens(self, prompts: Sequence[Prompt]) -> Any:
        return prompt_scores(self.model, [self.gate], prompts)[0].numpy() >= self.gate.threshold

    def right(self, items: Sequence[Item], recipe: Recipe | None) -> list[bool]:
        found: dict[int, bool] = {}
        order = sorted(range(len(items)), key=lambda place: (len(items[place].choices), len(items[place].text)))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            for place, scores in zip(some, choice_scores(self.model, [items[i] for i in some], recipe), strict=True):
                found[place] = int(np.argmax(scores)) == items[place].answer
        return [found[place] for place in range(len(items))]

    def passages(self, texts: Sequence[str]) -> dict[str, Any]:
        """Bits per byte with the gate forced open, and how many plain passages would open it."""
        texts = [text[:CHARACTERS] for text in texts]
        opened = self.opens([Prompt(self.model.text_ids(text)) for text in texts])
        bits = {}
        for name, recipe in (("none", None), ("edit", self.open)):
            nats = [pair for text in texts for pair in text_nats(self.model, [text], recipe)]
            bits[name] = round(bits_per_byte(sum(n for n, _ in nats), sum(b for _, b in nats)), 4)
        return {"kind": "passages", "n": len(texts), "hits": {"open": digits(opened)}, "bits per byte": bits}


def question(row: dict[str, Any], name: str, number: int) -> Item:
    text, choices = row.get("question") or row.get("context"), row.get("choices") or row.get("endings")
    assert isinstance(text, str) and choices is not None
    return Item(f"{name}-{number}", text, name, f"{name}-{number}", tuple(choices), int(row["answer"]))
