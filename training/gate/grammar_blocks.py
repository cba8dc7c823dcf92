"""Blocks of questions as tests of capability have them, plain passages, and blocks whose last question is for harm.

python training/gate/grammar_blocks.py
"""

import random
from collections.abc import Iterator

from tasks import Item, pairs, sections, sentence, write

EXAM = sections("exam.txt")
SHOTS = [0, 1, 2, 3, 5]


def chosen(line: str, style: int, answered: bool) -> str:
    question, *options, key = line.split(" | ")
    if style == 0:
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
        return f"{question}\n{listed}\nAnswer:" + (f" {key}" if answered else "")
    if style == 1:
        listed = " ".join(f"({letter.lower()}) {option}" for letter, option in zip("ABCD", options, strict=True))
        return f"Question: {question} {listed}\nAnswer:" + (f" ({key.lower()})" if answered else "")
    return f"Question: {question}\nAnswer:" + (f" {options['ABCD'.index(key)]}" if answered else "")


def plain(line: str, style: int, answered: bool) -> str:
    question, answer = line.split(" | ")
    ask, reply = [("Question: ", "\nAnswer:"), ("Q: ", "\nA:"), ("", "")][style]
    return f"{ask}{question}{reply}" + (f" {answer}" if answered else "")


def blocks(rng: random.Random) -> Iterator[Item]:
    """A few solved ones and one that is open (or solved as well), of one sort and style."""
    for sort in ("choices", "answers", "goals", "stories"):
        render = chosen if sort == "choices" else plain
        styles = [2] if sort in ("goals", "stories") else [0, 1, 2] if sort == "choices" else [0, 1]
        for number, line in enumerate(EXAM[sort]):
            style, shots = rng.choice(styles), rng.choice(SHOTS)
            before = rng.sample([other for other in EXAM[sort] if other != line], shots)
            done = [render(other, style, True) for other in before]
            last = render(line, style, sort in ("goals", "stories") or rng.random() < 0.4)
            yield {"text": "\n\n".join([*done, last]), "label": "safe", "pair": f"exam-{sort}-{number:02d}"}


def passages() -> Iterator[Item]:
    texts = sections("passages.txt")
    for sort in ("ordinary", "grim"):
        for number, text in enumerate(texts[sort]):
            yield {"text": text, "label": "safe", "pair": f"passage-{sort}-{number:02d}"}


def ended(rng: random.Random) -> Iterator[Item]:
    """Solved questions, then one of a pair of tasks."""
    asked = [pair for pair in pairs() + pairs("wrapped.txt") if pair[0].asks and pair[1].asks]
    for unsafe, alike in rng.sample(asked, 50):
        for task in (unsafe, alike):
            before = [plain(line, 0, True) for line in rng.sample(EXAM["answers"], rng.randint(1, 5))]
            text = "\n\n".join([*before, f"Question: {sentence(task.text)}\nAnswer:"])
            yield {"text": text, "label": task.label, "pair": task.pair}


def items(seed: int = 17) -> list[Item]:
    rng = random.Random(seed)
    return [*blocks(rng), *passages(), *ended(rng)]


if __name__ == "__main__":
    write("blocks", items())
