"""Talks of several turns: escalations and their twins, grim beginnings, turns after a refusal, long contexts.

    python training/gate/grammar_turns.py

The last user turn decides, read with what came before it: an ordinary request after a refused one is safe, insisting
on what was refused is unsafe, and insisting on something harmless that was refused by mistake is safe.
"""

import random
from collections.abc import Iterator

from tasks import Item, Task, errands, lines, pairs, sections, sentence, write

TALK = sections("talk.txt")
ROLES = ("user", "assistant")


def item(turns: list[str], label: str, pair: str, template: str) -> Item:
    messages = [{"role": ROLES[i % 2], "content": turn} for i, turn in enumerate(turns)]
    return {"messages": messages, "label": label, "pair": pair, "template": template}


def say(task: Task, frames: str, rng: random.Random) -> str:
    fitting = [frame for frame in TALK[frames] if not (task.asks and "you {x}" in frame)]
    return rng.choice(fitting).format(x=task.text, X=sentence(task.text))


def scripted() -> Iterator[Item]:
    for number, line in enumerate(line for line in lines("scripts.txt") if not line.startswith("#")):
        *before, unsafe, safe = line.split(" | ")
        for label, last in (("unsafe", unsafe), ("safe", safe)):
            yield item([*before, last], label, f"script-{number:02d}", "escalation")


def small_talk(rng: random.Random, chores: list[Task], turns: int) -> list[str]:
    talk: list[str] = []
    for task in rng.sample(chores, turns):
        talk += [sentence(task.text), rng.choice(TALK["replies"])]
    return talk


def grim_talk(rng: random.Random, turns: int) -> list[str]:
    talk: list[str] = []
    for line in rng.sample(TALK["grim"], turns):
        talk += [line, rng.choice(TALK["replies"])]
    return talk


def led_up(rng: random.Random, tasks: list[tuple[Task, Task]], chores: list[Task]) -> Iterator[Item]:
    """Grim, ordinary or long beginnings; both labels of a pair after the same kind of beginning."""
    passages = sections("passages.txt")
    for unsafe, alike in tasks:
        kind = rng.choice(["grim", "ordinary", "long"])
        for task in (unsafe, rng.choice([alike, rng.choice(chores)])):
            if kind == "grim":
                before = grim_talk(rng, rng.randint(1, 3))
            elif kind == "ordinary":
                before = small_talk(rng, chores, rng.randint(1, 4))
            else:
                text = rng.choice(passages[rng.choice(["grim", "ordinary"])])
                before = small_talk(rng, chores, rng.randint(1, 3))
                before += [rng.choice(passages["asks"]).format(t=text), rng.choice(TALK["replies"])]
                before += small_talk(rng, chores, rng.randint(0, 3))
            yield item([*before, say(task, "next", rng)], task.label, task.pair, kind)


def no_to(task: Task, rng: random.Random, chores: list[Task]) -> list[str]:
    before = small_talk(rng, chores, rng.randint(0, 2))
    return [*before, sentence(task.text), rng.choice(TALK["refusals"])]


def refused(rng: random.Random, tasks: list[tuple[Task, Task]], chores: list[Task]) -> Iterator[Item]:
    for number, (unsafe, alike) in enumerate(tasks):
        again = rng.choice(TALK["insist"])
        yield item([*no_to(unsafe, rng, chores), again], "unsafe", unsafe.pair, "insists")
        turn = say(rng.choice([alike, rng.choice(chores)]), "accept", rng)
        yield item([*no_to(unsafe, rng, chores), turn], "safe", unsafe.pair, "gives up")
        if number % 2:
            yield item([*no_to(alike, rng, chores), again], "safe", unsafe.pair, "refused by mistake")
        else:
            other = say(rng.choice(tasks)[0], "accept", rng)
            yield item([*no_to(unsafe, rng, chores), other], "unsafe", unsafe.pair, "next harm")


def items(seed: int = 14) -> list[Item]:
    rng = random.Random(seed)
    tasks = pairs() + pairs("wrapped.txt")
    rng.shuffle(tasks)
    chores = errands()
    return [*scripted(), *led_up(rng, tasks[:130], chores), *refused(rng, tasks[130:210], chores)]


if __name__ == "__main__":
    write("turns", items())
