"""Texts as tests and documents have them, mostly with no chat around: questions behind answered ones, and passages.

    python training/gate/grammar_shots.py

A gate that looks at stretches of a prompt meets many of them in such a text. Questions come from four lists, in groups
that never mix, so that a group stays on one side of a split. In one text of four the last question asks for harm, and
in one it is a harmless look-alike; among passages, the same.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tasks import SLOTS, Item, Task, errands, lines, pairs, sentence, write

GROUP = 10  # questions that come together
EACH = 5  # texts made of one group
LETTERS = "ABCDE"
LISTS = ("endings", "questions", "goals")
MIXED = "mixed"  # errands and what was answered to them, in short


class Shot(NamedTuple):
    """A question, its right answer, and wrong ones."""

    text: str
    right: str
    wrong: tuple[str, ...] = ()


def shots(name: str) -> list[Shot]:
    found = []
    for line in lines(f"shots-{name}.txt"):
        text, right, *wrong = (part.strip() for part in line.split(" | "))
        found.append(Shot(text, right, tuple(wrong)))
    return found


def choices(shot: Shot, rng: random.Random) -> tuple[list[str], int]:
    every = [shot.right, *shot.wrong]
    rng.shuffle(every)
    return every, every.index(shot.right)


def lettered(shot: Shot, rng: random.Random, mark: str) -> tuple[str, str]:
    every, place = choices(shot, rng)
    return "\n".join(f"{mark.format(LETTERS[i])} {text}" for i, text in enumerate(every)), LETTERS[place]


Form = Callable[[Shot, bool, random.Random], str]
"""How a question is written; with its answer, or up to where that would begin."""


def asked(before: str, between: str) -> Form:
    def write(shot: Shot, answered: bool, _: random.Random) -> str:
        return f"{before}{shot.text}{between}" + (f" {shot.right}" if answered else "")

    return write


def with_choices(before: str, mark: str, between: str) -> Form:
    def write(shot: Shot, answered: bool, rng: random.Random) -> str:
        options, letter = lettered(shot, rng, mark)
        return f"{before}{shot.text}\n{options}\n{between}" + (f" {letter}" if answered else "")

    return write


def went_on(shot: Shot, answered: bool, _: random.Random) -> str:
    return f"{shot.text} {shot.right}" if answered else shot.text


PLAIN: list[Form] = [
    asked("Question: ", "\nAnswer:"),
    asked("Q: ", "\nA:"),
    asked("Problem. ", "\nSolution."),
    asked("Input: ", "\nOutput:"),
    asked("### Instruction\n", "\n### Response\n"),
    asked("User: ", "\nAssistant:"),
    asked("", " ->"),
    asked("* ", "\n  **Answer:**"),
]
CHOOSING: list[Form] = [
    with_choices("Question: ", "{}.", "Answer:"),
    with_choices("", "({})", "Answer:"),
    with_choices("Q. ", "{})", "Correct option:"),
    with_choices("Which is right? ", "{}:", "Choice:"),
]
HEADS = [
    *("", "", "", "Answer the questions.\n\n", "The following are questions with answers.\n\n", "Quiz night\n\n"),
    *("Complete each text sensibly.\n\n", "# Exam\n\n", "Below are examples, then your turn.\n\n"),
]


def form_of(name: str, rng: random.Random) -> Form:
    if name == "endings":
        return rng.choice([went_on, went_on, *PLAIN[:2], *CHOOSING[:2]])
    if name == "questions":
        return rng.choice([*PLAIN, *CHOOSING, *CHOOSING])
    return rng.choice([*PLAIN, *CHOOSING[:2], asked("Goal: ", "\nWay:"), asked("To do: ", "\nBest done so:")])


def shown(name: str, group: list[Shot], last: Shot | None, rng: random.Random) -> str:
    """Some of the group answered, and one more, or `last`, that is not."""
    form, several = form_of(name, rng), rng.choice([0, 1, 2, 3, 5, 5, 5, 8])
    own = rng.sample(group, several + 1)
    told = [form(shot, True, rng) for shot in own[:several]]
    numbered = rng.random() < 0.15
    every = [*told, form(last or own[-1], False, rng)]
    every = [f"{i}. {text}" for i, text in enumerate(every, 1)] if numbered else every
    return rng.choice(HEADS) + rng.choice(["\n\n", "\n\n", "\n", "\n---\n"]).join(every)


def one(text: str, label: str, pair: str, template: str, rng: random.Random) -> Item:
    """Twice in three times as raw text."""
    return {"raw" if rng.random() < 0.67 else "text": text, "label": label, "pair": pair, "template": template}


def of_groups(rng: random.Random, tasks: list[tuple[Task, Task]]) -> Iterator[Item]:
    """Of each group some texts as they are; one more whose last question asks for harm, and one for its look-alike."""
    for name in LISTS:
        every = shots(name)
        rng.shuffle(every)
        groups = [every[i : i + GROUP] for i in range(0, len(every) - GROUP + 1, GROUP)]
        for number, group in enumerate(groups):
            pair = f"shots-{name}-{number:02d}"
            for _ in range(EACH):
                yield one(shown(name, group, None, rng), "safe", pair, name, rng)
            for task in tasks.pop():
                state = rng.getstate()
                last = Shot(sentence(task.text), "Yes.", ("No.", "Perhaps."))
                yield one(shown(name, group, last, rng), task.label, pair, f"{name}, asked", rng)
                if task.label == "unsafe":
                    rng.setstate(state)  # so that the twin stands in the same text


def of_errands(rng: random.Random) -> Iterator[Item]:
    chores = [task for task in errands() if not task.asks]
    rng.shuffle(chores)
    for number in range(0, 200, 5):
        form = rng.choice(PLAIN)
        group = [Shot(sentence(task.text), "Done.") for task in chores[number : number + 5]]
        text = "\n\n".join(form(shot, False, rng) + rng.choice([" Done.", " Gladly.", ""]) for shot in group)
        yield one(text, "safe", f"shots-errands-{number:03d}", MIXED, rng)


def passages() -> list[str]:
    text = (SLOTS / "raw-passages.txt").read_text(encoding="utf-8")
    return [part.strip() for part in text.split("\n---\n")]


def of_passages(rng: random.Random, tasks: list[tuple[Task, Task]]) -> Iterator[Item]:
    """Every passage as raw text, alone and after others; one of six with a request behind it or before it."""
    every = passages()
    rng.shuffle(every)
    for number in range(0, len(every), 3):
        pair, group = f"raw-{number:03d}", every[number : number + 3]
        for text in group:
            yield {"raw": text, "label": "safe", "pair": pair, "template": "alone"}
        yield {"raw": "\n\n".join(group), "label": "safe", "pair": pair, "template": "together"}
        if number % 2 == 0:
            form = rng.choice(["{t}\n\n{X}", "{t}\n\nUser: {X}\nAssistant:", "{X}\n\n{t}", "{t}\n{X}\n"])
            for task in tasks.pop():
                text = form.format(t=group[0], X=sentence(task.text))
                yield one(text, task.label, pair, "asked", rng)


def items(seed: int = 31) -> tuple[list[Item], list[Item]]:
    rng = random.Random(seed)
    tasks = rng.sample(pairs(), len(pairs()))
    return [*of_groups(rng, tasks), *of_errands(rng)], list(of_passages(rng, tasks))


if __name__ == "__main__":
    questions, texts = items()
    write("shots", questions)
    write("raw", texts)
