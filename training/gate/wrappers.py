"""Wrappers of the kind that try to talk a model out of refusing, written for this, with room for any request.

`wrap(task, family, rng)` puts one around a task. Nothing in a wrapper says what is asked for: the same ones go around
unsafe and ordinary requests.
"""

import random

from tasks import Task, sections, sentence

TEXTS = sections("wrappers.txt")
FAMILIES = ["persona", "mode", "story", "coded", "suppressed", "preamble"]


def template(family: str, rng: random.Random) -> str:
    if family != "preamble":
        return rng.choice(TEXTS[family])
    parts = [rng.choice(TEXTS["openings"]), *rng.sample(TEXTS["middles"], rng.choice([2, 3, 5, 7, 10]))]
    place = len(parts) if rng.random() < 0.7 else rng.randrange(len(parts) + 1)
    parts.insert(place, rng.choice(TEXTS["endings"] if place == len(parts) else ["{X}", "What I ask is this: {x}"]))
    return "\n\n".join(parts)


def wrap(task: Task, family: str, rng: random.Random) -> str:
    """The task inside a wrapper of that family."""
    text = template(family, rng)
    if task.asks:
        text = text.replace("please {x}.", "answer me this: {x}").replace("{x}.", "{x}")
    words = task.text.split()
    half = len(words) // 2
    slots = {slot: rng.choice(TEXTS[slot]) for slot in ("name", "maker", "kin", "place", "hero")}
    return text.format(
        **slots,
        x=task.text,
        X=sentence(task.text),
        hero_c=sentence(slots["hero"]).rstrip("."),
        language=rng.choice(["Spanish", "German", "Danish", "Latin"]),
        numbered="\n".join(f"{i}. {word}" for i, word in enumerate(words, 1)),
        first=" ".join(words[:half]),
        second=" ".join(words[half:]),
        backwards=" ".join(reversed(words)),
    )
