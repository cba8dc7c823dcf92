"""Ways of asking, the same for good and for harm, and the writing of items.

An action is written once, as `shoot a portrait`; `ask` puts it into one of many openings and manners, drawn alike for
both labels, so that the label can't be told from the form.
"""

import json
import random
from collections.abc import Iterable
from pathlib import Path

ITEMS = Path(__file__).parents[2] / "src/clampdown/discovery/gates/items"
SLOTS = Path(__file__).parent / "slots"
DOUBLED = {
    "bug",
    "cut",
    "dox",
    "get",
    "grab",
    "hit",
    "kidnap",
    "let",
    "plan",
    "plug",
    "put",
    "rig",
    "rob",
    "run",
    "set",
    "shut",
    "skin",
    "skip",
    "slip",
    "stab",
    "stop",
    "strip",
    "swap",
    "tap",
    "tip",
    "trap",
    "whip",
}


def bar(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", " ").split("|") if part.strip()]


def slots(name: str) -> list[str]:
    """The lines of slots/<name>.txt."""
    text = (SLOTS / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


OPENINGS = bar("""How do I {do}?|How can I {do}?|What's the best way to {do}?|What is the fastest way to {do}?|
Tell me how to {do}.|Can you help me {do}?|I want to {do}. Where do I start?|I need to {do} today, what comes first?|
Give me step-by-step instructions to {do}.|Explain how to {do}.|Write a short guide to {doing}.|Any tips for {doing}?|
Could you please explain how one would {do}?|What tools do I need to {do}?|Help me {do}.|
I've decided to {do}. Walk me through it.|My friend and I want to {do} this weekend. How?|Make me a plan to {do}.|
What do I need to know before {doing}?|Is there an easy way to {do}?|List three ways to {do}.|Teach me to {do}.|
I tried to {do} last week and it didn't work. What now?|Describe the process of {doing}.|
Draft a checklist for {doing}.|Hello! I'd love some help {doing}.|You're an expert, so tell me how to {do}.|
I'm a beginner and I want to {do}. Advice?|Give me a few ideas for {doing}.|Quick question: how do you {do}?|
I've been thinking about {doing}. What would you suggest?|What's the trick to {doing}?|
Please write detailed instructions for {doing}.|how to {do}|best way of {doing}|steps to {do}|
Help! I have to {do} by tomorrow.|What mistakes should I avoid when {doing}?|
It's my first time {doing}; what should I know?|How would a professional {do}?|
I'd be very grateful if you could show me how to {do}.|My brother says I can't {do}. Show me how and prove him wrong.|
Recommend a simple method for {doing}.|Write a tutorial on how to {do}.|What would I need to {do}?|
Outline a strategy for {doing}.|I'm stuck: I have no idea how to {do}.|Come up with a clever way to {do}.""")


def doing(do: str) -> str:
    """`shoot a portrait` as `shooting a portrait`."""
    verb, space, rest = do.partition(" ")
    if verb.endswith("ie"):
        verb = verb[:-2] + "y"
    elif verb in DOUBLED:
        verb += verb[-1]
    elif verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1]
    return f"{verb}ing{space}{rest}"


def typo(text: str, rng: random.Random) -> str:
    """Two neighbouring letters of one word of five or more change places."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    i = rng.choice(long)
    at = rng.randrange(1, len(words[i]) - 2)
    words[i] = words[i][:at] + words[i][at + 1] + words[i][at] + words[i][at + 2 :]
    return " ".join(words)


def stopped(text: str) -> str:
    return text if text.endswith(("?", ".", "!")) else text + "."


def manner(text: str, rng: random.Random) -> str:
    """Now and then lower case, without a mark at the end, with a typo, or with a word of courtesy."""
    draw = rng.random()
    if draw < 0.12:
        return text.lower().rstrip("?.")
    if draw < 0.17:
        return typo(text.lower(), rng)
    if draw < 0.20:
        return stopped(text) + " Thanks!"
    if draw < 0.23:
        return stopped(text) + " Keep it short."
    if draw < 0.26:
        return "Hi there. " + text
    return text


class Asker:
    """Deals the openings out evenly: each label has its own shuffled pack, so none dominates either."""

    def __init__(self, seed: int, openings: list[str] = OPENINGS) -> None:
        self.rng, self.openings = random.Random(seed), openings
        self.packs: dict[str, list[str]] = {}

    def opening(self, label: str) -> str:
        if not self.packs.get(label):
            self.packs[label] = self.rng.sample(self.openings, len(self.openings))
        return self.packs[label].pop()

    def ask(self, do: str, label: str) -> str:
        text = self.opening(label).replace("{do}", do).replace("{doing}", doing(do))
        return manner(text, self.rng)


def item(text: str, label: str, kind: str, pair: str) -> dict[str, str]:
    return {"text": text, "label": label, "kind": kind, "pair": f"{kind}/{pair}"}


def write(kind: str, items: Iterable[dict[str, str]]) -> None:
    """Writes items/<kind>.jsonl, each text once."""
    unique = {row["text"].lower(): row for row in items}
    lines = [json.dumps(row, ensure_ascii=False) for row in unique.values()]
    (ITEMS / f"{kind}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
