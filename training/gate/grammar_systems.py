"""Requests under system prompts of all sorts, the same ones over unsafe and harmless requests.

python training/gate/grammar_systems.py
"""

import random

from grammar_requests import put
from tasks import KEPT, Item, errands, lines, pairs, write


def items(seed: int = 16) -> list[Item]:
    rng = random.Random(seed)
    systems, chores = list(lines("systems.txt")), errands()[-KEPT:]
    rng.shuffle(chores)
    found: list[Item] = []
    for number, (unsafe, alike) in enumerate(rng.sample(pairs("wrapped.txt"), 140)):
        system = systems[number % len(systems)]
        for task in (unsafe, chores.pop() if number % 2 else alike):
            turns = [{"role": "system", "content": system}, {"role": "user", "content": put(task, rng)}]
            found.append({"messages": turns, "label": task.label, "pair": unsafe.pair})
    return found


if __name__ == "__main__":
    write("systems", items())
