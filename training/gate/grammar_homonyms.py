"""Violent and criminal verbs with harmless objects and with people: `python grammar_homonyms.py` writes the file.

slots/homonyms.txt has one line a verb: its harmless objects || its harmful ones. Every action is asked once.
"""

from asking import Asker, bar, item, slots, write

KIND = "homonyms"
SEED = 11


def actions() -> list[tuple[str, str, str]]:
    """(verb, action, label), in the table's order."""
    found = []
    for line in slots(KIND):
        verb, _, objects = line.partition(":")
        safe, _, unsafe = objects.partition("||")
        found += [(verb, f"{verb} {o}", "safe") for o in bar(safe)]
        found += [(verb, f"{verb} {o}", "unsafe") for o in bar(unsafe)]
    return found


def main() -> None:
    asker = Asker(SEED)
    write(KIND, [item(asker.ask(do, label), label, KIND, verb) for verb, do, label in actions()])


if __name__ == "__main__":
    main()
