"""Multiple choice as a chat asks it: the model writes an answer, and the letter that it chose is read from it.

This is how the paper measured MMLU. A refusal is no wrong letter, and a model that drifts to one letter shows it, so
both are counted beside the accuracy.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clampdown.engine.blocks import Below
from clampdown.engine.engine import Engine
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.judging.default.judge import Label, judge
from clampdown.measuring.sets.sets import Item
from clampdown.models.chat_model import ChatModel
from clampdown.models.thinking import spoken
from clampdown.recipe import Recipe
from clampdown.steering.receipt import Receipt

LETTERS = "ABCDEFGHIJ"
NONE = "none"


@dataclass(frozen=True)
class LetterAnswer:
    """A generated answer: whether it ended by itself, the choice read from it (from 0), and the judge's label of it."""

    text: str
    finished: bool
    chosen: int | None
    label: str
    receipt: Receipt


def letter_prompt(item: Item) -> str:
    """The question with its choices lettered, as one user turn."""
    choices = [f"{LETTERS[n]}. {choice}" for n, choice in enumerate(item.choices)]
    return "\n".join([item.text, "", *choices, "", "Which one is right? Answer with its letter."])


def letter_answers(
    model: ChatModel,
    items: Sequence[Item],
    recipes: Sequence[Recipe | None],
    sampling: Sampling,
    below: Below | None = None,
    engine: Engine | None = None,
) -> list[LetterAnswer]:
    """One batch of questions answered in the chat template, item i under recipes[i].

    below, engine: as `generate` takes them.

    Raises:
        ClampdownError: a question that does not fit the context, or a recipe that does not fit the model.
    """
    prompts = [
        model.prompt_ids(letter_prompt(item), system=recipe.system_prompt or None if recipe else None,
                         room=sampling.max_new_tokens)
        for item, recipe in zip(items, recipes, strict=True)
    ]  # fmt: skip
    answers = generate(model, prompts, recipes, sampling, below, engine=engine)
    return [
        LetterAnswer(
            text=answer.text,
            finished=answer.finished,
            chosen=extract_letter(answer.text, item.choices, item.text),
            label=str(judge(item.text, answer.text, truncated=not answer.finished)),
            receipt=answer.receipt,
        )
        for item, answer in zip(items, answers, strict=True)
    ]


def letter_counts(chosen: Iterable[int | None], choices: int) -> dict[str, int]:
    """How often each letter was chosen, and how often none could be read."""
    counts = dict.fromkeys([*LETTERS[:choices], NONE], 0)
    for place in chosen:
        counts[NONE if place is None else LETTERS[place]] += 1
    return counts


def extract_letter(text: str, choices: Sequence[str], question: str = "") -> int | None:
    """Which choice a written answer settles on, from 0; None where it names none, or several alike.

    Tried in turn: a statement ("the answer is (B)", "B is correct"; the last one counts), an answer that begins with
    its letter, one in passing ("I think it's B"), the only choice's letter it mentions, and the only choice whose words
    it repeats. A refusal that mentions a choice has not chosen it: of one, only the sentences that don't decline are
    read, and only in the first three ways. Thoughts are not read.

    question: what was asked, by which the judge tells a refusal from what the question wanted said.
    """
    said = _LOWER.sub(lambda match: match[0].upper(), (spoken(text) or "").strip())
    refused = judge(question, said) is Label.REFUSAL
    if refused:
        said = " ".join(part for part in _SENTENCE.split(said) if judge("", part) is not Label.REFUSAL)
    letters = LETTERS[: len(choices)]
    letter = _stated(said, letters) or _leading(said, letters) or _supposed(said, letters)
    if letter is None and not refused:
        said = _UNDECIDED.sub("", said)
        letter = _only_letter(said, letters)
    if letter is not None:
        return letters.index(letter)
    return None if refused else _only_words(said, choices)


_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_UNDECIDED = re.compile(
    r"\b(?:can(?:['’]t|not| not)|(?:unable|not able|impossible) to|won['’]t|will not)\s+"
    r"(?:choose|pick|select|decide|determine|tell|say|answer)\b(?:(?!\bbut\b)[^.!?;\n])*",
    re.I,
)
_LOWER = re.compile(r"(?<![\w'’])[a-j](?=\))")
"""A letter that its bracket shows to be a label: b) or (b)."""
_BEFORE = r"[\s:*_\"'`(\[{$]*(?:\\(?:boxed|text)\{\s*)*"
_AFTER = r"(?![\w'’]|-\w)(?!\s+(?!because|since|as|and|which|for)[a-z])"
"""After a letter: no more of a word, nor a word that would make "A" an article."""
_KIND = r"(?:option|choice|letter|answer)"
_IT_IS = r"\bit(?:['’]s| is| must be| should be| would be)\b(?: (?:most )?\w+ly\b)?"


def _stated(said: str, letters: str) -> str | None:
    says = r"(?:\b(?:is|would be|should be|must be)\b|[:=])"
    letter = _letter(letters)
    return _last(
        said,
        rf"(?i:\b(?:answer|(?:correct|right|best|my) (?:{_KIND}|guess))\b[^.\n:=]{{0,40}}?{says}){letter}",
        rf"(?<![\w'’])([{letters}])[)\]*.]*\s+is\s+(?:the\s+|most\s+likely\s+(?:the\s+)?)?(?i:correct|right|best)\b",
        rf"\\boxed\{{\s*(?:\\text\{{\s*)?\(?([{letters}])\b",
        rf"(?i:\bI(?: would|['’]d)? (?:choose|pick|select|go with|say))\s+{letter}",
        rf"(?i:\b(?:wait|no|sorry|actually|correction)\b[\s,.!:;…–—-]+(?:I think )?{_IT_IS}){letter}",
    )


def _supposed(said: str, letters: str) -> str | None:
    return _last(said, rf"(?i:(?<!\bif )(?<!\bwhether ){_IT_IS}){_letter(letters)}")


def _letter(letters: str) -> str:
    return rf"{_BEFORE}(?i:{_KIND}\s*)?{_BEFORE}([{letters}]){_AFTER}"


def _last(said: str, *patterns: str) -> str | None:
    found = [match for pattern in patterns for match in re.finditer(pattern, said)]
    return max(found, key=lambda match: match.end())[1] if found else None


def _leading(said: str, letters: str) -> str | None:
    """The letter that an answer begins with; none where it begins by saying all the choices again."""
    after = r"""(?:\s*(?:[.):,\]*_"'`–-]|$|\n)|\s+[A-Z0-9])"""
    match = re.match(rf"[\s*_\"'`(\[#>-]*(?i:(?:option|choice)\s+)?([{letters}]){after}", said)
    return match[1] if match and "".join(_labels(said, letters))[:2] != letters[:2] else None


def _only_letter(said: str, letters: str) -> str | None:
    labels = set(_labels(said, letters))
    return labels.pop() if len(labels) == 1 else None


def _labels(said: str, letters: str) -> list[str]:
    """Letters that stand as a choice's label: (B), B) or B. or B: at a line's or a sentence's end, option B."""
    shapes = (
        rf"[(\[]([{letters}])[)\]]|(?<![\w'’.])([{letters}])(?=[):]|\.(?:\s|$))"
        rf"|(?i:\b(?:option|choice)\s+)([{letters}])\b"
    )
    return [next(filter(None, groups)) for groups in re.findall(shapes, said)]


def _only_words(said: str, choices: Sequence[str]) -> int | None:
    """The only choice whose words occur; one whose words are part of another's that occurs does not count."""
    text, words = _plain(said), [_plain(choice) for choice in choices]
    there = [n for n, own in enumerate(words) if own.strip() and own in text]
    whole = [n for n in there if not any(n != m and words[n] in words[m] for m in there)]
    return whole[0] if len(whole) == 1 else None


def _plain(text: str) -> str:
    """Its words alone, a space before and after each."""
    return " ".join(["", *re.findall(r"\w+", text.lower()), ""])
