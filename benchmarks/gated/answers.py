"""One row of prompts: what opens the gate, and what is then refused under each arm that stands behind it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from figures import digits
from prompts import Prompts

from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.kinds import Material, fitted_words
from clampdown.discovery.gates.rows import shipped_rows, without_reported
from clampdown.discovery.gates.scores import prompt_scores
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
from clampdown.steering.gates.compiled import compile_gate
from clampdown.studies.arms import SAFETY_PROMPT
from clampdown.studies.controls import difference_in_means
from clampdown.studies.plan import Plan

BATCH = 64


class Known(NamedTuple):
    """What an earlier run told of the same prompts: rows by name, and whether its recipe edits as this one does."""

    rows: Mapping[str, Any]
    same_edits: bool

    def hits(self, row: str, arm: str, n: int) -> str:
        """What held under an arm of each prompt of a row; "-" where that is not known."""
        of_the_edits = arm not in ("none", "system prompt")
        known = {} if of_the_edits and not self.same_edits else self.rows.get(row, {}).get("hits", {})
        return known.get(arm) or "-" * n


def told(known: Sequence[Known], row: str, arm: str, places: Iterable[int], n: int) -> dict[int, bool]:
    """What earlier runs told of these places, of a row of n."""
    hits = [one.hits(row, arm, n) for one in known]
    return {place: own[place] == "1" for place in places for own in hits if own[place] != "-"}


class Answers:
    """The model, the recipe's arms behind one gate, and TF-IDF fitted on the project's own items, made when needed.

    Answers to the same prompts under the same edits that are `known` are not asked for again.
    """

    def __init__(
        self, model: ChatModel, recipe: Recipe, tokens: int, ungated: int, known: Sequence[Known] = ()
    ) -> None:
        self.model, self.recipe, self.ungated, self.known = model, recipe, ungated, known
        self.sampling, self.open = Sampling(max_new_tokens=tokens), recipe.deciding("open")
        self.gate = compile_gate(model, recipe)
        self.clamp = Recipe.load(bundled_path(REFUSAL))
        self._dense: Recipe | None = None
        self._words: Fitted | None = None

    def measured(self, name: str, row: Prompts) -> dict[str, Any]:
        """The row's record: the scores, and of each prompt whether it opens the gate and is refused under each arm.

        A shut row is answered as the model alone would (a test holds that): under the edits only those are answered
        that open the gate, and the first `ungated` whatever it says.
        """
        texts, n = row.texts, len(row.texts)
        prompts = [self.model.prompt_ids(text, room=self.sampling.max_new_tokens) for text in texts]
        scores = prompt_scores(self.model, [self.gate], prompts)[0]
        opened = (scores >= self.gate.threshold).tolist()
        places = [place for place, open_ in enumerate(opened) if open_]
        edited = sorted({*places, *range(min(self.ungated, n))})
        hits = {"open": digits(opened)}
        hits["none"] = self._under("none", name, texts, dict(enumerate(prompts)), lambda: None)
        for arm, where, recipe in (
            ("edit", edited, lambda: self.open),
            ("SAE clamp", edited, lambda: self.clamp),
            ("difference in means", places, lambda: self.dense),
        ):
            hits[arm] = self._under(arm, name, texts, {i: prompts[i] for i in where}, recipe)
        asked = {i: self.model.prompt_ids(texts[i], system=SAFETY_PROMPT) for i in places}
        hits["system prompt"] = self._under("system prompt", name, texts, asked, lambda: None)
        hits["fixed sentence"] = digits([True] * len(places), places, n)
        record = {"kind": "prompts", "unsafe": row.unsafe, "against": row.against, "n": n, "ungated": self.ungated}
        record |= {"scores": scores.tolist(), "hits": hits}
        return record | {"words": [self.words_score(prompt) for prompt in prompts]}

    def _under(
        self, arm: str, row: str, texts: Sequence[str], asked: Mapping[int, Prompt], recipe: Callable[[], Recipe | None]
    ) -> str:
        """Of the prompts in these places, which are refused; what is known is not asked for."""
        found = told(self.known, row, arm, asked, len(texts))
        left = [place for place in asked if place not in found]
        if left:
            answers = self.answers([asked[place] for place in left], recipe())
            found |= dict(zip(left, self.refused([texts[i] for i in left], answers), strict=True))
        return digits([found[place] for place in asked], list(asked), len(texts))

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
