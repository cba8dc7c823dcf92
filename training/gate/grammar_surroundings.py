"""Whole texts around a request: such as are posted to get round a model's rules, and such as mean nothing by it.

    python training/gate/grammar_surroundings.py

Every wrapper meets unsafe requests, their look-alikes and errands. All that stands in one wrapper is one pair, so that
held-out rows have wrappers that nothing was fitted on.
"""

import random
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

from tasks import Item, Task, errands, lines, pairs, sentence, write


class Kind(NamedTuple):
    """Wrappers of a file, what a file is made of them, and how many pairs of tasks each is put around."""

    name: str
    file: str
    pairs: int


KINDS = [Kind("wild", "wild.txt", 2), Kind("neutral", "neutral.txt", 2)]
BEHIND = 0.2  # the share that has another ending yet


def filled(wrapper: str, task: Task, ending: str) -> str:
    text = wrapper.replace("\\n", "\n")
    if task.asks:
        text = text.replace("{x}?", "{x}").replace("{x}.", "{x}")
    text = text.replace("{x}", task.text).replace("{X}", sentence(task.text))
    return f"{text} {ending}".strip()


def items(kind: Kind, seed: int) -> Iterator[Item]:
    rng = random.Random(seed)
    tasks = cycle(rng.sample(every := [*pairs(), *pairs("wrapped.txt")], len(every)))
    chores = cycle(rng.sample(own := errands(), len(own)))
    endings = [line.replace("\\n", "\n") for line in lines("after.txt")]
    for number, wrapper in enumerate(lines(kind.file)):
        for _ in range(kind.pairs):
            unsafe, alike = next(tasks)
            ending = rng.choice(endings) if rng.random() < BEHIND else ""
            for task in (unsafe, alike if rng.random() < 0.5 else next(chores)):
                text = filled(wrapper, task, ending)
                yield {"text": text, "label": task.label, "pair": f"{kind.name}-{number:03d}", "template": kind.name}


if __name__ == "__main__":
    for number, kind in enumerate(KINDS):
        write(kind.name, items(kind, 41 + number))
