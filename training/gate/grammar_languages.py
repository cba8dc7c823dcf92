"""Requests in fourteen languages, each with a harmless one in much the same words.

python training/gate/grammar_languages.py
"""

from tasks import Item, pairs, write


def items() -> list[Item]:
    found = pairs("languages.txt")
    return [{"text": task.text, "label": task.label, "pair": task.pair} for pair in found for task in pair]


if __name__ == "__main__":
    write("languages", items())
