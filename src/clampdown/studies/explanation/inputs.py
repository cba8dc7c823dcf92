"""What losses are measured on: ordinary questions and passages of the built-in sets, as token ids."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from clampdown.engine.request import Continuation
from clampdown.measuring.capability.likelihood import passage_ids, question_ids
from clampdown.measuring.sets.sets import Item, builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.studies.explanation.options import ExplainOptions


@dataclass(frozen=True)
class Material:
    """Questions with the ids of their choices, and passages.

    Attributes:
        prompts: of each question, rendered as a chat.
        choices: the ids of each question's choices.
        passages: raw text, in which nobody speaks; the first token counts as prompt, the rest as answer.
        covered: the bytes that each passage's tokens but its first stand for.
    """

    items: tuple[Item, ...]
    prompts: tuple[Prompt, ...]
    choices: tuple[tuple[tuple[int, ...], ...], ...]
    passages: tuple[Prompt, ...]
    covered: tuple[int, ...]

    @property
    def continuations(self) -> list[Continuation]:
        """Every choice after its question, question by question."""
        pairs = zip(self.prompts, self.choices, strict=True)
        return [Continuation(prompt, choice) for prompt, choices in pairs for choice in choices]

    @property
    def predicted(self) -> list[int]:
        """How many tokens of each passage are predicted."""
        return [len(passage) - 1 for passage in self.passages]


def material(model: ChatModel, system: str, options: ExplainOptions) -> Material:
    """Items of the built-in reporting halves, drawn by seed: what no recipe that ships was chosen by."""
    items = builtin_set("capability").half("report").sample(options.questions, options.seed).items
    texts = builtin_set("text").half("report").sample(options.passages, options.seed).items
    return made(model, items, [text.text for text in texts], system, options.passage_tokens)


def quick_material(model: ChatModel, system: str, questions: int, passages: int, tokens: int, seed: int) -> Material:
    """Questions that take the fewest rows, for what is asked hundreds of times: choices of one token share a row.

    They are of both halves, for a survey chooses no recipe; among equals the seed draws.
    """
    drawn = builtin_set("capability").items
    order = random.Random(f"{seed} quick questions").sample(range(len(drawn)), len(drawn))
    cost = {place: len({tuple(model.text_ids(c)[:-1]) for c in drawn[place].choices}) for place in order}
    length = {place: max(len(model.text_ids(c)) for c in drawn[place].choices) for place in order}
    items = [drawn[place] for place in sorted(order, key=lambda place: (cost[place], length[place]))[:questions]]
    texts = builtin_set("text").half("report").sample(passages, seed).items
    return made(model, items, [text.text for text in texts], system, tokens)


def made(model: ChatModel, items: Sequence[Item], texts: Sequence[str], system: str, tokens: int) -> Material:
    """The same of given questions and passages, these cut to so many tokens."""
    choices = tuple(tuple(tuple(model.text_ids(choice)) for choice in item.choices) for item in items)
    passages = tuple(Prompt(ids[:tokens], ()) for ids in passage_ids(model, texts) if len(ids) > 1)
    covered = tuple(len(model.tokenizer.decode(list(row[1:])).encode()) for row in passages)
    return Material(tuple(items), tuple(question_ids(model, items, system or None)), choices, passages, covered)
