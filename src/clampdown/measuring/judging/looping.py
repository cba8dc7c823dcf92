"""Does a text say one thing over and over? Cycles of words or characters, and sentences that were said before.

Repetition that was asked for, laughter, song and code are left alone.
"""

import re
from collections import Counter
from itertools import pairwise

ROOM = 64
"""Tokens an answer needs before one can say that it does not loop: one sentence fits into fewer, and ends well."""
WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
CODE = re.compile(r"```.*?(?:```|\Z)", re.S)
CODE_LINE = re.compile(r"[{};=]\s*$|^\s*(?:def|class|import|from|return|for|if|print|#|//|<).*[(){}:=;>]", re.M)
_LAUGH = re.compile(
    r"(?:\W*(?:ha|he|hi|ho|ah|eh|oh|lol|xo|la|na|no|go|yes|yeah|bye|row|knock|very|really|haha|hehe|jaja))+\W*", re.I
)
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_SENTENCE = re.compile(r"[^.!?。！？।\n]+[.!?。！？।\n]*\s*")
# "Say ha 50 times", but neither "he runs 3 times a week" nor "write a plan for running twice a day".
_ASKS_REPEAT = re.compile(
    r"\brepeat\b|"
    r"\b(?:say|write|type|print|list|chant|output|recite|echo|copy|shout|generate|produce|display|tell|give)\b"
    r"(?:[^.?!\n]|[.?!](?=[\"'”’])){0,60}?"  # a full stop only at the end of what is to be said
    r"\b(?:over and over|again and again|repeatedly|(?:twice|thrice|"
    r"(?:\d|two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|forty|fifty|hundred|thousand|many)+ times)\b"
    r"(?! (?:a|an|per|each|every|as (?!you)|the|more|less)\b))",
    re.I,
)
_SHARE = 0.4
"""Of an answer's words, as many in sentences said before make it a loop."""
_FEW, _LATE = 24, 100
"""Of an answer that is not over: words it takes to tell that it is stuck, and words that show what it does of late."""


def is_looping(text: str, prompt: str = "") -> bool:
    """True when a text says one thing over and over, unless the prompt asks for that."""
    prose = CODE.sub("\n", text)
    if is_excused(prose, prompt):
        return False
    words = [word.lower() for word in WORD.findall(prose.replace("’", "'"))]
    return has_cycles(prose, words) or _says_again(prose, len(words))


def is_stuck(text: str, prompt: str = "") -> bool:
    """Whether an answer that is still being said has come to say one thing over and over, as a whole or of late.

    A few words may well be said twice before something else follows, so it takes some words to tell.
    """
    prose = _without_new_rows(CODE.sub("\n", text))
    if is_excused(prose, prompt):
        return False
    late = [match.start() for match in WORD.finditer(prose)]
    if len(late) < _FEW:
        return _loops_within(prose)
    return any(is_looping(part, prompt) for part in (prose, prose[late[-_LATE:][0] :]))


def _without_new_rows(text: str) -> str:
    """The text without a table's rows, whose cells are alike by nature; a row that was there before stays."""
    seen: set[str] = set()
    kept = []
    for line in text.split("\n"):
        if not line.startswith("|") or line in seen:
            kept.append(line)
        seen.add(line)
    return "\n".join(kept)


def is_excused(prose: str, prompt: str) -> bool:
    """Whether a text may repeat itself: it is code, or the prompt asks for repetition."""
    return len(CODE_LINE.findall(prose)) >= 2 or bool(_ASKS_REPEAT.search(prompt))


def has_cycles(prose: str, words: list[str]) -> bool:
    """Whether words or characters go round in circles, or hardly anything new is said."""
    if _loops_within(prose):
        return True
    return len(words) >= 6 and (_loops(words) or _says_one_word(words) or _stale(words))


def said_once(text: str) -> str:
    """The text with every sentence where it is said first, and without a cut one at the end that begins as another."""
    seen: list[str] = []
    kept = []
    for sentence in _SENTENCE.findall(text):
        words = " ".join(WORD.findall(sentence.lower()))
        if any(other.startswith(words) for other in seen):
            continue
        seen.append(words)
        kept.append(sentence)
    return "".join(kept).strip()


def _says_again(prose: str, words: int) -> bool:
    """A large share of the words stands in sentences that were said before, or began as one did."""
    left = len(WORD.findall(said_once(prose)))
    return words - left >= 8 and words - left >= _SHARE * words


def _loops(words: list[str]) -> bool:
    """A cycle of one to twenty words turning three times or more, over a quarter of the text."""
    n, covered, at = len(words), 0, 0
    places: dict[str, list[int]] = {}
    for i, word in enumerate(words):
        places.setdefault(word, []).append(i)
    while at < n:
        best = 0
        for later in places[words[at]]:
            period = later - at
            if not 0 < period <= 20 or words[at : at + period] != words[later : later + period]:
                continue
            end = later
            while end < n and words[end] == words[end - period]:
                end += 1
            if end - at >= 3 * period:
                best = max(best, end - at)
        covered += best
        at += best or 1
    return covered >= 8 and covered > 0.25 * n


def _says_one_word(words: list[str]) -> bool:
    """One word six times running, over a quarter of the text; laughter and song may."""
    longest = run = 1
    for word, following in pairwise(words):
        run = run + 1 if (word == following and not _LAUGH.fullmatch(word + " ")) or (word == following == "so") else 1
        longest = max(longest, run)
    return longest >= 6 and longest > 0.25 * len(words)


def _loops_within(text: str) -> bool:
    """A cycle of up to eight characters inside a stretch without spaces, or of up to forty in a script without them,
    over most of the text: "I'ml'ml'ml'ml'm"."""
    stretches = [s for s in text.split() if len(s) >= 12]
    covered = 0
    for stretch in stretches:
        longest = 40 if _UNSPACED.search(stretch) else 8
        if not _LAUGH.fullmatch(stretch) and any(c.isalpha() for c in stretch):
            covered += max(_longest_cycle(stretch, period) for period in range(1, longest + 1))
    return covered >= 12 and covered > 0.5 * len("".join(text.split()))


def _longest_cycle(text: str, period: int) -> int:
    """The length of the longest part that repeats what stood `period` characters before, four times or more."""
    best = run = 0
    for a, b in zip(text, text[period:], strict=False):
        run = run + 1 if a == b else 0
        best = max(best, run)
    return best + period if best >= 3 * period and best >= 8 else 0


def _stale(words: list[str]) -> bool:
    """Too few different words, or too many phrases met before, for any sound prose of this length."""
    n = len(words)
    if n < 16:
        return False
    window = words[:100]
    if len(set(window)) < (0.36 if n < 60 else 0.28) * len(window):
        return True
    grams = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    again = sum(c for c in grams.values() if c > 1)
    return n >= 24 and again > 0.6 * (n - 3)
