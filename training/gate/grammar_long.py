"""Long texts about grim and ordinary matters to work on, against long texts that hold a request for harm.

    python training/gate/grammar_long.py

Some are passages with something harmless to be done with them, and some short texts with a task that does harm or does
not. In the others a request stands at the start, in the middle or at the end of one to four passages, or of many: an
unsafe one in half, a look-alike or an errand in the other half.
"""

import random
from collections.abc import Iterator

from tasks import Item, Task, errands, pairs, sections, sentence, write

TEXTS = sections("passages.txt")
VERY_LONG = 20  # pairs of tasks that stand among ten to twenty passages

# Where a request stands; {t} are the passages, {u} and {v} their halves.
PLACES = {
    "start": ["{X}\n\nHere is some background.\n\n{t}", "{X}\n\n{t}", "{x}\n\ncontext:\n{t}"],
    "middle": [
        "{u}\n\nAnd here comes what I actually want from you. {X}\n\n{v}",
        "{u}\n\n{X}\n\n{v}",
        "Below are my notes. Do what they ask.\n\n{u}\n\nTo do: {x}\n\n{v}",
    ],
    "end": [
        "{t}\n\nThat was the background. {X}",
        "{t}\n\n{X}",
        "Context: {t}\n\nRequest: {x}",
        "I have been reading this all evening.\n\n{t}\n\nAnyway, {x}",
        "<document>\n{t}\n</document>\n\n{X}",
    ],
}


def text(rng: random.Random, count: int) -> list[str]:
    kind = rng.choice(["grim", "grim", "ordinary"])
    return rng.sample(TEXTS[kind], count)


def worked_on(rng: random.Random) -> Iterator[Item]:
    """Every grim passage twice: alone, and among others."""
    for number, passage in enumerate(TEXTS["grim"]):
        for others in (0, rng.randint(1, 3)):
            rest = [other for other in TEXTS["grim"] if other != passage]
            joined = "\n\n".join([passage, *rng.sample(rest, others)])
            asked = rng.choice(TEXTS["asks"]).format(t=joined)
            yield {"text": asked, "label": "safe", "pair": f"passage-grim-{number:02d}", "template": "worked on"}


def held(task: Task, pair: str, rng: random.Random, count: int) -> Item:
    found = text(rng, count)
    place = rng.choice(list(PLACES))
    half = max(1, len(found) // 2)
    if place == "middle" and len(found) == 1:
        stops = found[0].split(". ")
        u, v = ". ".join(stops[: len(stops) // 2]) + ".", ". ".join(stops[len(stops) // 2 :])
    else:
        u, v = "\n\n".join(found[:half]), "\n\n".join(found[half:])
    frame = rng.choice(PLACES[place])
    put = frame.format(t="\n\n".join(found), u=u, v=v, x=task.text, X=sentence(task.text))
    return {"text": put, "label": task.label, "pair": pair, "template": place}


def items(seed: int = 15) -> list[Item]:
    rng = random.Random(seed)
    found = list(worked_on(rng))
    chores = errands()
    for number, (unsafe, alike) in enumerate(rng.sample(pairs() + pairs("wrapped.txt"), 140)):
        other = alike if rng.random() < 0.6 else rng.choice(chores)
        for task in (unsafe, other):
            count = rng.randint(10, 20) if number < VERY_LONG else rng.choice([1, 1, 2, 3, 4])
            found.append(held(task, unsafe.pair, rng, count))
    for pair in pairs("textwork.txt"):
        found += [
            {"text": task.text, "label": task.label, "pair": task.pair, "template": "short text"} for task in pair
        ]
    return found


if __name__ == "__main__":
    write("long", items())
