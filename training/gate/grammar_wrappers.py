"""Jailbreak-like wrappers around unsafe and around harmless requests alike.

    python training/gate/grammar_wrappers.py

The harmless half is half look-alikes and half ordinary errands.
"""

import random

from tasks import Item, errands, pairs, write
from wrappers import FAMILIES, wrap


def items(seed: int = 12) -> list[Item]:
    rng = random.Random(seed)
    families = list(FAMILIES)
    chores = rng.sample(errands(), 180)
    found: list[Item] = []
    for unsafe, safe in pairs("wrapped.txt"):
        tasks = [unsafe, safe] + ([chores.pop()] if rng.random() < 0.2 else [])
        for task in tasks:
            family = rng.choice(families)
            found.append({"text": wrap(task, family, rng), "label": task.label, "pair": task.pair, "template": family})
    for unsafe, safe in rng.sample(pairs(), 120):
        for task in (unsafe, safe if rng.random() < 0.4 else chores.pop()):
            family = rng.choice(families)
            found.append({"text": wrap(task, family, rng), "label": task.label, "pair": task.pair, "template": family})
    return found


if __name__ == "__main__":
    write("wrappers", items())
