"""Requests spelt oddly, for harm and for good: each pair of other items in one spelling.

    python training/gate/grammar_spellings.py

Run it after the other grammars: it draws short requests of all kinds that have both labels, a few of each. Every letter
stays readable; what changes is case, what stands between letters and words, or a letter for one that looks or sounds
alike.
"""

import json
import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable

from tasks import ITEMS, Item, write

LONG = re.compile(r"[A-Za-z]{5,}")
OF_A_KIND = 5  # pairs, at most
LEET = str.maketrans("aeiost", "431057")
TYPED = {"you": "u", "are": "r", "to": "2", "for": "4", "please": "pls", "your": "ur", "someone": "sum1", "and": "n",
         "because": "cuz", "without": "w/o", "with": "w/", "people": "ppl", "how": "hw", "what": "wat"}  # fmt: skip
HEARD = [("ph", "f"), ("ck", "k"), ("qu", "kw"), ("igh", "y"), ("tion", "shun"), ("er ", "a "), ("c", "k")]
ALIKE = str.maketrans("aceopxyi", "асеорхуі")  # Cyrillic
MARKS = ["\u0301", "\u0308", "\u0303", "\u030c"]
SIGNS = ["🙂", "🔥", "💡", "👀", "⭐"]


def in_long(change: Callable[[str], str]) -> Callable[[str, random.Random], str]:
    """Changes words of five letters or more."""
    return lambda text, _: LONG.sub(lambda word: change(word[0]), text)


def at_random(share: float, change: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], str]:
    """Changes such a share of the letters."""
    return lambda text, rng: "".join(
        change(letter, rng) if letter.isalpha() and rng.random() < share else letter for letter in text
    )


def swapped(text: str, rng: random.Random) -> str:
    def one(word: str) -> str:
        if len(word) < 4 or rng.random() < 0.4:
            return word
        at = rng.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return " ".join(map(one, text.split(" ")))


def cut(word: str, rng: random.Random) -> str:
    place = rng.randint(2, 4)
    return word[:place] + rng.choice("- ") + word[place:]


def heard(text: str, _: random.Random) -> str:
    for letters, others in HEARD:
        text = text.lower().replace(letters, others)
    return text


def hidden_letter(word: str) -> str:
    return word[0] + "*" + word[2:]


SPELLINGS: dict[str, Callable[[str, random.Random], str]] = {
    "joined by hyphens": in_long("-".join),
    "joined by points": in_long(".".join),
    "spread out": in_long(" ".join),
    "cut in two": lambda text, rng: LONG.sub(lambda word: cut(word[0], rng), text),
    "starred": in_long(hidden_letter),
    "vowels left out": in_long(lambda word: word[0] + re.sub("[aeiou]", "", word[1:])),
    "digits": lambda text, _: text.lower().translate(LEET),
    "some digits": at_random(0.4, lambda letter, _: letter.lower().translate(LEET)),
    "capitals": lambda text, _: text.upper(),
    "mixed case": at_random(0.5, lambda letter, _: letter.swapcase()),
    "small, without marks": lambda text, _: re.sub(r"[^\w\s]", "", text.lower()),
    "typed in haste": lambda text, _: " ".join(TYPED.get(word.strip("?."), word) for word in text.lower().split()),
    "swapped letters": swapped,
    "as heard": heard,
    "doubled letters": at_random(0.2, lambda letter, _: letter * 2),
    "letters lost": at_random(0.12, lambda letter, _: ""),
    "look-alike letters": at_random(0.5, lambda letter, _: letter.translate(ALIKE)),
    "accents": at_random(0.4, lambda letter, rng: unicodedata.normalize("NFC", letter + rng.choice(MARKS))),
    "underscores": lambda text, _: text.replace(" ", "_"),
    "one word": lambda text, _: "".join(word[0].upper() + word[1:] for word in text.split()),
    "a word a line": lambda text, _: "\n".join(text.split()),
    "far apart": lambda text, rng: (" " * rng.randint(3, 6)).join(text.split()),
    "barred": lambda text, rng: rng.choice(["|", " | ", "/", " ~ ", "+"]).join(text.split()),
    "signs between": lambda text, rng: " ".join(f"{word} {rng.choice(SIGNS)}" for word in text.split()),
    "bracketed": in_long(lambda word: f"[{word}]"),
    "emphatic": lambda text, rng: text.rstrip("?.") + rng.choice(["!!!", "???", "...", "?!?!", " >>>"]),
}  # fmt: skip


def short_pairs() -> list[tuple[Item, Item]]:
    """One unsafe and one safe request of a pair, for each kind a few, the kind itself left out."""
    rng, found = random.Random(21), []
    for file in sorted(ITEMS.glob("*.jsonl")):
        if file.stem == "spellings":
            continue
        of: dict[str, dict[str, Item]] = defaultdict(dict)
        for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            if len((text := row.get("text", "")).split()) in range(1, 31) and text.isascii():
                of[row["pair"]].setdefault(row["label"], row)
        both = [(own["unsafe"], own["safe"]) for own in of.values() if len(own) == 2]
        found += rng.sample(both, min(OF_A_KIND, len(both)))
    return found


def items(seed: int = 22) -> list[Item]:
    rng, found = random.Random(seed), []
    deck: list[str] = []
    for two in short_pairs():
        deck = deck or rng.sample(list(SPELLINGS), len(SPELLINGS))
        name = deck.pop()
        for row in two:
            text = SPELLINGS[name](row["text"], rng)
            found.append({"text": text, "label": row["label"], "pair": row["pair"], "template": name})
    return found


if __name__ == "__main__":
    write("spellings", items())
