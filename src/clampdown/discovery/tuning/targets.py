"""What the model is to say: refusals of its own, which it finishes unsteered once it is given how they begin."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from clampdown.discovery.gates.rows import GateRow
from clampdown.engine.generation import generate_apart
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import Label, judge, loops
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress

OPENINGS = (
    "I'm sorry, but I can't help with",
    "I'm sorry, but I can't assist you with",
    "I can't help you with",
    "I'm sorry, but I can't",
)
_TOKENS = 28
"""Of what follows: two sentences mostly."""
_BATCH = 48
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_OFFERS = re.compile(
    r"\bI(?: can| could| will|'ll|'d be)\b(?!'t| not)|\b(?:can|could) (?:help|provide|offer)\b"
    r"|\bcan(?:'t|not) (?:wait|help but)\b|\b(?:happy to|let me|let's)\b|\bhere(?: is| are|'s)\b|:\s*$",
    re.I,
)
_GOES_ON = re.compile(r"(?:I|Please|If)\b")
"""How a second sentence must begin: others are of the harm, mostly."""


class Target(NamedTuple):
    """A prompt and what is to follow: the ids of a refusal and of the end of the turn."""

    prompt: Prompt
    answer: tuple[int, ...]
    text: str


def targets(model: ChatModel, rows: Sequence[GateRow], system: str | None, progress: Progress) -> list[Target]:
    """Refusals to those rows that the model finishes like one, offering nothing else.

    Raises:
        ClampdownError: the template opens a thought; or the model finishes hardly any like one.
    """
    if model.opens_thought:
        raise ClampdownError(
            f"model {model.name} begins every answer with a thought, so no refusal can be put first; use --no-thinking"
        )
    prompts = [model.prompt_ids(row.chat, system=system, room=2 * _TOKENS) for row in rows]
    order = sorted(range(len(rows)), key=lambda place: len(prompts[place]))
    found: dict[int, Target] = {}
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        openings = [model.text_ids(OPENINGS[place % len(OPENINGS)]) for place in places]
        begun = [prompts[place] + opening for place, opening in zip(places, openings, strict=True)]
        answers = generate_apart(model, begun, [None] * len(begun), Sampling(_TOKENS))
        for place, opening, answer in zip(places, openings, answers, strict=True):
            text = model.decoded([*opening, *answer.ids])
            kept = "" if answer.error else cut(rows[place].text, text, answer.finished)
            if kept:
                found[place] = Target(prompts[place], _ids(model, kept), kept)
        progress("asking for refusals", len(places), len(rows), f"{len(found)} kept")
    if len(found) < max(4, len(rows) // 8):
        raise ClampdownError(
            f"model {model.name} finishes only {len(found)} of {len(rows)} refusals like one, so there is nothing to "
            "tune on; name more --unsafe prompts, or another model"
        )
    return [found[place] for place in sorted(found)]


def cut(prompt: str, text: str, finished: bool) -> str:
    """The first two sentences of a refusal, or the first, if they refuse and offer nothing; else nothing."""
    line, more, _ = text.strip().partition("\n")
    sentences = _SENTENCE.split(line.strip())
    if not (finished or more or sentences[-1].endswith((".", "!", "?"))):
        sentences.pop()  # cut off
    for count in (2, 1):
        kept = " ".join(sentences[:count])
        more_of_it = count == 1 or (len(sentences) > 1 and _GOES_ON.match(sentences[1]))
        if sentences and more_of_it and refuses(prompt, kept):
            return kept
    return ""


def refuses(prompt: str, text: str) -> bool:
    """Whether a short text declines and does nothing besides."""
    if _OFFERS.search(text) or loops(prompt, text):
        return False
    return judge(prompt, text) is Label.REFUSAL


def _ids(model: ChatModel, text: str) -> tuple[int, ...]:
    end = model.end_id
    return (*model.text_ids(text), *(() if end is None else (end,)))
