"""Requests told at length, politely, under a pretext, in a hurry or with facts before them, put down as written.

python training/gate/grammar_told.py
"""

from tasks import Item, pairs, write


def items() -> list[Item]:
    found = pairs("told.txt")
    return [{"text": task.text, "label": task.label, "pair": task.pair} for pair in found for task in pair]


if __name__ == "__main__":
    write("told", items())
