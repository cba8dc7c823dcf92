"""What may be done with a person and what may not: `python grammar_people.py` writes the file.

So that a wife, a witness or a gun is not by itself a sign of harm. slots/with-people.txt has one a line.
"""

from asking import Asker, bar, item, slots, write

KIND = "with-people"
SEED = 18


def main() -> None:
    asker, rows = Asker(SEED), []
    for line in slots(KIND):
        who, _, acts = line.partition(":")
        for label, half in zip(("safe", "unsafe"), acts.split("||"), strict=True):
            rows += [item(asker.ask(do, label), label, KIND, who) for do in bar(half)]
    write(KIND, rows)


if __name__ == "__main__":
    main()
