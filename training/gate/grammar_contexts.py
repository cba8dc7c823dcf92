"""The same act in a game or a play, and meant: `python grammar_contexts.py` writes the file game-or-real."""

import random

from asking import Asker, bar, item, slots, write

KIND = "game-or-real"
SEED = 19
EACH = 3  # of either label, an act


def main() -> None:
    rng, asker, rows = random.Random(SEED), Asker(SEED), []
    acts, play, meant = (bar(line.partition(":")[2]) for line in slots("contexts"))
    for act in acts:
        for label, places in (("safe", play), ("unsafe", meant)):
            rows += [item(asker.ask(f"{act} {where}", label), label, KIND, act) for where in rng.sample(places, EACH)]
    write(KIND, rows)


if __name__ == "__main__":
    main()
