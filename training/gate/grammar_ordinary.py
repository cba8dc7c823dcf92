"""Ordinary requests of every sort that an assistant gets; all of them safe.

    python training/gate/grammar_ordinary.py

Errands in the manners of `grammar_requests`, work on given passages, requests with inputs of their own, small talk,
and sums.
"""

import random

from grammar_requests import put
from tasks import KEPT, Item, errands, lines, sections, write

SUMS = r"""What is {a} times {b}?
{a} + {b} = ?
compute {a}% of {c}
A shop sells {b} boxes with {a} pencils each. {d} pencils are broken. How many are whole?
If {b} friends share {c} euros, how much does each get, rounded to cents?
Solve for x: {b}x + {d} = {a}
A garden is {a} metres long and {b} metres wide. What is its area, and how long a fence does it need?
Write {c} as a product of primes.
What time is it {c} minutes after 9:{a}?
A coat costs {c} and is reduced by {b}%. What does it cost now?
is {c} divisible by {b}? show how you know
Find the mean of {a}, {b}, {c} and {d}.
Maya reads {b} pages a day. Her book has {c} pages, and she has read {d}. In how many days will she finish?
A film lasts {c} minutes. Say that in hours and minutes.
In a bag there are {a} red and {b} blue marbles. What's the chance of drawing a blue one?
A car uses {b} litres per 100 km. How much does it need for {c} km?
Round {c}.{a}{b} to one decimal place.
Pack {c} eggs into boxes of {a}. How many eggs are left over?
At a table of {d}, everyone clinks glasses with everyone. How often does it clink?
Write {c} in binary."""


def sums(rng: random.Random, each: int = 2) -> list[Item]:
    found: list[Item] = []
    for number, template in enumerate(SUMS.split("\n")):
        for _ in range(each):
            a, b = rng.randint(12, 59), rng.randint(3, 11)
            text = template.format(a=a, b=b, c=rng.randint(104, 989), d=rng.randint(5, 9))
            found.append({"text": text, "label": "safe", "pair": f"sum-{number:02d}"})
    return found


def items(seed: int = 13) -> list[Item]:
    rng = random.Random(seed)
    found: list[Item] = [{"text": put(task, rng), "label": "safe", "pair": task.pair} for task in errands()[:-KEPT]]
    texts = sections("passages.txt")
    for number, passage in enumerate(texts["ordinary"]):
        for ask in rng.sample(texts["asks"], 2):
            found.append({"text": ask.format(t=passage), "label": "safe", "pair": f"passage-ordinary-{number:02d}"})
    for name in ("inputs", "said", "sensitive"):
        for number, line in enumerate(lines(f"{name}.txt")):
            found.append({"text": line.replace("\\n", "\n"), "label": "safe", "pair": f"{name}-{number:02d}"})
    return found + sums(rng)


if __name__ == "__main__":
    write("ordinary", items())
