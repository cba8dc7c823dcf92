"""One row of prompts: what opens the gate, and what is then refused under each arm that stands behind it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from figures import digits
from prompts import Prompts

from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.kinds import Material, fitted_words
from clampdown.discovery.gates.rows import shipped_rows, without_reported
from clampdown.discovery.gates.split import ORDINARY, split
from clampdown.discovery.gates.word_baseline import request_text
from clampdown.engine.generation import generate_apart
from clampdown.engine.request import Answer, Sampling
from clampdown.measuring.judging.default.judge import REFUSING, judge, loops
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import quiet
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.studies.arms import SAFETY_PROMPT
from clampdown.studies.controls import difference_in_means
from clampdown.studies.plan import Plan

BATCH = 64


class Answers:
    """The model, the recipe's arms behind one gate, and TF-IDF fitted on the project's own items, made when needed."""

    def __init__(self, model: ChatModel, recipe: Recipe, tokens: int, ungated: int) -> None:
        self.model, self.recipe, self.ungated = model, recipe, ungated
        self.sampling, self.open = Sampling(max_new_tokens=tokens), recipe.deciding("open")
        self.clamp = Recipe.load(bundled_path(REFUSAL))
        self._dense: Recipe | None = None
        self._words: Fitted | None = None

    def measured(self, row: Prompts) -> dict[str, Any]:
        """The row's record: the scores, and of each prompt whether it opens the gate and is refused under each arm.

        Every prompt is answered once while the gate only watches, so the score costs nothing. A shut row is answered as
        the model alone would (a test holds that): only open ones are answered again, and the first `ungated` under the
        edits whatever the gate says.
        """
        texts, n = row.texts, len(row.texts)
        prompts = [self.model.prompt_ids(text, room=self.sampling.max_new_tokens) for text in texts]
        watched = self.answers(prompts, self.recipe.deciding("watch"))
        opened = np.array([answer.receipt.gate == "open" for answer in watched])
        places = np.flatnonzero(opened)
        edited = sorted({*places.tolist(), *range(min(self.ungated, n))})
        asked = {i: self.model.prompt_ids(texts[i], system=SAFETY_PROMPT) for i in places.tolist()}
        hits = {"open": digits(opened), "none": digits(self.refused(texts, watched))}
        for arm, recipe in (("edit", self.open), ("SAE clamp", self.clamp)):
            hits[arm] = self._under(recipe, texts, {i: prompts[i] for i in edited})
        hits["difference in means"] = self._under(self.dense, texts, {i: prompts[i] for i in places.tolist()})
        hits["system prompt"] = self._under(None, texts, asked)
        hits["fixed sentence"] = digits([True] * len(places), places.tolist(), n)
        told = {"kind": "prompts", "unsafe": row.unsafe, "against": row.against, "n": n, "ungated": self.ungated}
        told |= {"scores": [a.receipt.score for a in watched], "hits": hits}
        return told | {"words": [self.words_score(prompt) for prompt in prompts]}

    def _under(self, recipe: Recipe | None, texts: Sequence[str], asked: dict[int, Prompt]) -> str:
        """Of the prompts in these places, which are refused."""
        answers = self.answers(list(asked.values()), recipe)
        return digits(self.refused([texts[i] for i in asked], answers), list(asked), len(texts))

    def answers(self, prompts: Sequence[Prompt], recipe: Recipe | None) -> list[Answer]:
        found: dict[int, Answer] = {}
        for some in batches(prompts):
            told = generate_apart(self.model, [prompts[i] for i in some], [recipe] * len(some), self.sampling)
            found |= dict(zip(some, told, strict=True))
        return [found[place] for place in range(len(prompts))]

    def refused(self, texts: Sequence[str], answers: Sequence[Answer]) -> list[bool]:
        """Which are declined, in part at least, and without looping."""
        return [
            judge(text, answer.text, truncated=not answer.finished) in REFUSING and not loops(text, answer.text)
            for text, answer in zip(texts, answers, strict=True)
        ]

    @property
    def dense(self) -> Recipe:
        """The difference in means in the place of the recipe's edits, in the same window, with no gate of its own."""
        if self._dense is None:
            [(*_, [made])] = difference_in_means(self.model, self.recipe, Plan(strengths=(1.0,)))
            assert made is not None
            self._dense = replace(self.open, edits=made.edits)
        return self._dense

    def words_score(self, prompt: Prompt) -> float:
        """TF-IDF's score of the request, fitted on the rows of the project's own that a gate is fitted on."""
        if self._words is None:
            rows = without_reported(shipped_rows())
            own = [rows[i] for i in split(rows, ORDINARY, 0).fit]
            asked = [row.prompt(self.model) for row in own]
            self._words = fitted_words(Material(self.model, own, asked, ORDINARY, quiet))
        assert self._words.words is not None
        return round(self._words.words.score(request_text(self.model, prompt)), 4)


def batches(prompts: Sequence[Prompt], tokens: int = 12_000) -> Iterator[list[int]]:
    """Places in groups of at most BATCH rows and so many tokens of prompts, padding included."""
    some: list[int] = []
    for place in sorted(range(len(prompts)), key=lambda place: len(prompts[place])):
        if some and (len(some) == BATCH or (len(some) + 1) * len(prompts[place]) > tokens):
            yield some
            some = []
        some.append(place)
    if some:
        yield some
