"""Jailbreak-like wrappers around unsafe and around harmless requests alike.

    python training/gate/grammar_wrappers.py

The harmless half is of look-alikes and of ordinary errands. Long preambles are the commonest, as they are in the wild.
"""

import random

from tasks import Item, Task, errands, pairs, write
from wrappers import FAMILIES, wrap


def items(seed: int = 12) -> list[Item]:
    rng = random.Random(seed)
    chores = rng.sample(errands(), len(errands()))
    plain = rng.sample(pairs(), len(pairs()))
    found: list[Item] = []

    def add(task: Task, family: str) -> None:
        text = wrap(task, family, rng)
        found.append({"text": text, "label": task.label, "pair": task.pair, "template": family})

    for unsafe, safe in pairs("wrapped.txt") + plain[:120]:
        for task in (unsafe, safe if rng.random() < 0.7 else chores.pop()):
            add(task, rng.choice(FAMILIES))
    for unsafe, safe in plain[120:230]:
        for task in (unsafe, safe if rng.random() < 0.4 else chores.pop()):
            add(task, "preamble")
    return found


if __name__ == "__main__":
    write("wrappers", items())
