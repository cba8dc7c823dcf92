"""Against the grain: harm asked for in gentle words and forms, and harmless requests that sound like harm.

    python training/gate/grammar_against.py

In other files harm often says "how to" and "steal", and safety "explain" and "protect". Here it's the other way round.
"""

import random

from grammar_requests import put
from tasks import Item, pairs, write


def items(seed: int = 18) -> list[Item]:
    rng = random.Random(seed)
    found = pairs("against.txt")
    return [{"text": put(task, rng), "label": task.label, "pair": task.pair} for pair in found for task in pair]


if __name__ == "__main__":
    write("against", items())
