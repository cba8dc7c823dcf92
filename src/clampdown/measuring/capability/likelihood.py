"""Capability without generating: which choice the model finds likeliest, and how well it predicts plain text."""

import math
from collections.abc import Sequence

import torch

from clampdown.engine.blocks import Below
from clampdown.engine.engine import Scorer
from clampdown.engine.request import Question
from clampdown.engine.scoring import LocalScorer
from clampdown.measuring.sets.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.recipe import Recipe


def choice_scores(
    model: ChatModel, items: Sequence[Item], recipe: Recipe | None, below: Below | None = None
) -> list[list[float]]:
    """For each question the log-likelihood (nats) of every choice as the assistant's answer, per character.

    Dividing by characters is lm-eval's `acc_norm`, so long choices are not punished. below: shares the lower blocks
    with whoever was asked the same before.
    """
    prompts = question_ids(model, items, recipe.system_prompt if recipe else None)
    choices = [[model.text_ids(choice) for choice in item.choices] for item in items]
    questions = [Question(*asked) for asked in zip(prompts, choices, strict=True)]
    scorer: Scorer = LocalScorer(model, below)
    told = scorer.choices(questions, recipe)
    return [
        (torch.tensor(nats) / torch.tensor([max(1, len(choice)) for choice in item.choices])).tolist()
        for item, nats in zip(items, told, strict=True)
    ]


def text_nats(
    model: ChatModel, texts: Sequence[str], recipe: Recipe | None, below: Below | None = None
) -> list[tuple[float, int]]:
    """For each passage its negative log-likelihood (nats), first token left out, and the bytes it covers.

    Passages are raw text, without the chat template; bits per byte is nats / (bytes · ln 2). All but the first token
    counts as answer, so a window on the answer holds that much of a passage.
    """
    rows = passage_ids(model, texts)
    scorer: Scorer = LocalScorer(model, below)
    told = scorer.passages(rows, recipe)
    covered = [len(model.tokenizer.decode(row[1:]).encode()) for row in rows]
    return [(-nats, size) for nats, size in zip(told, covered, strict=True)]


def passage_ids(model: ChatModel, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of passages, each as far as the context holds it."""
    return [model.text_ids(text)[: model.context_length] for text in texts]


def question_ids(model: ChatModel, items: Sequence[Item], system: str | None = None) -> list[Prompt]:
    """Token ids of questions, with room for their choices. Raises ClampdownError for one that exceeds the context."""
    rooms = [max(64, *(len(model.text_ids(choice)) for choice in item.choices)) for item in items]
    return [model.prompt_ids(item.text, system=system, room=room) for item, room in zip(items, rooms, strict=True)]


def bits_per_byte(nats: float, covered: int) -> float:
    """Nats over bytes, in bits per byte."""
    return nats / (covered * math.log(2))
