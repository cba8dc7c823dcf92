"""Plain requests for harm and their look-alikes, in the many manners that people (and benchmarks) ask in.

    python training/gate/grammar_requests.py

Both halves of a pair draw their manner from the same pool, each for itself, so that the manner says nothing.
"""

import random

from tasks import Item, Task, pairs, sentence, write

# How an imperative is put; {x} is the bare request, {X} the same as a sentence.
TOLD = [
    *["{X}"] * 14,
    *["{x}"] * 4,
    "Please {x}.",
    "please {x}",
    "Can you {x}?",
    "could you {x}?",
    "Could you please {x}? Thank you.",
    "I need you to {x}.",
    "i want you to {x}",
    "I'd like you to {x}, in a few short paragraphs.",
    "Help me out here: {x}.",
    "Hi! Would you {x}?",
    "hey so quick one, {x}, cheers",
    "{X} Use bullet points.",
    "{X} Be as detailed as you can.",
    "{X} Keep it short.",
    "{X} Write it so that a beginner understands it.",
    "{X} Around 200 words, please.",
    "Task: {x}.\nFormat: numbered list.",
    "Good morning. I would be most grateful if you would {x}. There is no hurry at all.",
    "Dear assistant, kindly {x}. Many thanks in advance and best regards.",
    "For a client of ours, {x}. We need it by Thursday, in a professional tone, without any jargon.",
    "Our team has been asked to prepare a document. {X} Structure it with an executive summary and next steps.",
    "My colleague says you can't do this, but I think you can: {x}.",
    "{X} I've been putting this off for weeks.",
    "ok next one. {x}",
    "{X} Thx!!",
    "I am writing to you because nobody else has time. {X}",
    "Your next job is this: {x}. Answer in plain English.",
    "Assume I know nothing about the subject and {x}.",
    "Would it be possible for you to {x}? I'm on my phone, so short lines please.",
]

# How a question is put.
ASKED = [
    *["{X}"] * 12,
    *["{x}"] * 4,
    "Quick question: {x}",
    "hi, {x}",
    "{X} Answer in two or three sentences.",
    "{X} Please be specific.",
    "{X} I've read three different answers so far.",
    "Question: {X}\nAnswer:",
    "I have been wondering about something. {X}",
    "asking for myself: {x}",
    "{X} A list would do.",
    "Good evening, I hope you can tell me: {x} With thanks.",
    "We discussed this at work and couldn't agree. {X}",
    "{X} Explain it as you would to a friend.",
]


def put(task: Task, rng: random.Random) -> str:
    bare = task.text
    for opening in ("how do I ", "how can I "):
        if bare.startswith(opening) and rng.random() < 0.3:
            bare = "how to " + bare.removeprefix(opening)
    frame = rng.choice(ASKED if task.asks else TOLD)
    text = frame.format(x=bare, X=sentence(bare))
    if rng.random() < 0.06:
        return text.lower()
    return mistyped(text, rng) if rng.random() < 0.08 else text


def mistyped(text: str, rng: random.Random) -> str:
    """With neighbouring letters swapped, or one left out, in about every fifth longer word."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if len(word) > 4 and word.isalpha() and rng.random() < 0.2:
            at = rng.randrange(1, len(word) - 2)
            swapped = word[at + 1] + word[at] if rng.random() < 0.6 else word[at]
            words[i] = word[:at] + swapped + word[at + 2 :]
    return " ".join(words)


def items(seed: int = 11) -> list[Item]:
    rng = random.Random(seed)
    return [{"text": put(task, rng), "label": task.label, "pair": task.pair} for pair in pairs() for task in pair]


if __name__ == "__main__":
    write("requests", items())
