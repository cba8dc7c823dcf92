"""One verb with harmless objects and with harmful ones: `python grammar_verbs.py` writes homonyms and plain-verbs.

slots/homonyms.txt has violent and criminal verbs, slots/plain-verbs.txt those that harm nobody by themselves. One line
a verb: its harmless objects || its harmful ones. Every action is asked once.
"""

from asking import Asker, bar, item, slots, write

KINDS = {"homonyms": 11, "plain-verbs": 12}  # kind: seed


def actions(kind: str) -> list[tuple[str, str, str]]:
    """(verb, action, label), in the table's order."""
    found = []
    for line in slots(kind):
        verb, _, objects = line.partition(":")
        safe, _, unsafe = objects.partition("||")
        found += [(verb, f"{verb} {thing}", "safe") for thing in bar(safe)]
        found += [(verb, f"{verb} {thing}", "unsafe") for thing in bar(unsafe)]
    return found


def main() -> None:
    for kind, seed in KINDS.items():
        asker = Asker(seed)
        write(kind, [item(asker.ask(do, label), label, kind, verb) for verb, do, label in actions(kind)])


if __name__ == "__main__":
    main()
