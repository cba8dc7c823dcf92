"""Harm to what can't be harmed and harm to people and animals: `python grammar_nonsense.py` writes the file.

slots/nonsense.txt has one verb a line: things || beings.
"""

from asking import Asker, bar, item, slots, write

KIND = "nonsense"
SEED = 15


def main() -> None:
    asker, rows = Asker(SEED), []
    for line in slots(KIND):
        act, _, victims = line.partition(":")
        for label, half in zip(("safe", "unsafe"), victims.split("||"), strict=True):
            rows += [item(asker.ask(act.format(x=x), label), label, KIND, act.split()[0]) for x in bar(half)]
    write(KIND, rows)


if __name__ == "__main__":
    main()
