"""Is a text babble? Loops, word salad and noise, told from its shape alone.

The thresholds are shares of the text, so one slip in a good answer is forgiven. Code, tables, lists, verse and other
languages are left alone: each test looks for something that those do not do. Only English word order is known here.
"""

import re
from collections import Counter

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.S)
_PIECE = re.compile(r"[.!?;:,\n|\"“”()\[\]]+")
_CODE_LINE = re.compile(r"[{};=]\s*$|^\s*(?:def|class|import|from|return|for|if|print|#|//|<).*[(){}:=;>]", re.M)
_SAME_SYMBOL = re.compile(r"([^\w\s.=*_#|~+\-])(?:\s?\1){7,}")
_ASKS_REPEAT = re.compile(r"\b(?:repeat|repeatedly|over and over|\d+ times|(?:hundred|twice|thrice))\b", re.I)
_SELF_DENIAL = re.compile(r"(?:but |and |so )?i(?:'m| am) (?:just|not|a|just not)\b(?: (?:a|an|the|sure)\b)")

_DETERMINERS = frozenset("a an the my your his its our their every".split())
_AUXILIARIES = frozenset("is are was were am be been can will would could should must do does did may has have".split())
_PRONOUNS = frozenset("i you he she we they it me him us them i'm you're".split())
_PREPOSITIONS = frozenset("to of for with from at by into and or but because than is".split())
# No English noun phrase goes on so: "the will be providing a is going to be a a providing".
_AFTER_DETERMINER = (_AUXILIARIES | _PRONOUNS | _PREPOSITIONS | _DETERMINERS | frozenset({"provide"})) - {"will", "must"}
_AFTER_PREPOSITION = frozenset("i am is was were can to of for with".split())
# Doubles that English allows.
_FINE_TWICE = frozenset("had that very so no ha bye yeah yes la na knock row ho hey now there far many really is".split())
_FUNCTION = (
    _DETERMINERS | _AUXILIARIES | _PRONOUNS | _PREPOSITIONS
    | frozenset("this that these those not no if as in on out up so there here what which who how when where some any".split())
    # The little words of other languages, so that they are not taken for salad.
    | frozenset("de la el los las que en y un una por con para se es le les et des du est dans une pour der die das".split())
    | frozenset("und ist ein eine nicht zu mit den von il di e che per non o da do em os het een van ik och att det".split())
)  # fmt: skip


def is_babble(text: str, prompt: str = "") -> bool:
    """True when text reads as a broken model's output. A prompt that asks for repetition excuses loops."""
    if not any(c.isalnum() for c in text):
        return len(text.strip()) > 0 and not _is_emoji(text.strip())
    if _is_noise(text):
        return True
    prose = _CODE.sub("\n", text)
    if len(_CODE_LINE.findall(prose)) >= 2:
        return False
    words = [w.lower().replace("’", "'") for w in WORD.findall(prose)]
    if len(words) < 6:
        return False
    if not _ASKS_REPEAT.search(prompt) and (_loops(words) or _stale(words)):
        return True
    pieces = [WORD.findall(p.lower().replace("’", "'")) for p in _PIECE.split(prose)]
    return _is_salad([p for p in pieces if p], len(words)) or _denies_itself(prose)


def _is_emoji(text: str) -> bool:
    return len(text) <= 8 and any(ord(c) > 0x2190 and c != "\ufffd" for c in text)


def _is_noise(text: str) -> bool:
    """Runs of one symbol, replacement characters, more symbols than letters, or words that no mouth could say."""
    if text.count("\ufffd") > max(2, len(text) // 40):
        return True
    if any(len(run.group()) >= max(8, 0.3 * len(text)) for run in _SAME_SYMBOL.finditer(text)):
        return True
    solid = [c for c in text if not c.isspace()]
    letters = sum(c.isalnum() for c in solid)
    if len(solid) >= 24 and letters < 0.35 * len(solid) and "|" not in text and "```" not in text:
        return True
    words = WORD.findall(text)
    if len(words) < 6 or "```" in text:
        return False
    odd = sum(len(w) > 24 or _unsayable(w) for w in words)
    return odd >= 4 and odd > 0.3 * len(words)


def _unsayable(word: str) -> bool:
    """Five Latin letters or more without a vowel, capitals in odd places, or letters and digits shuffled."""
    if not word.isascii() or word.isupper() or word.isdigit():
        return False
    bare = word.lower()
    if word.isalpha():
        camel = any(a.islower() and b.isupper() for a, b in zip(word, word[1:], strict=False))
        return len(bare) >= 5 and not set(bare) & set("aeiouy") or camel and len(bare) <= 5
    return sum(a.isdigit() != b.isdigit() for a, b in zip(bare, bare[1:], strict=False)) >= 3 and "-" not in bare


def _loops(words: list[str]) -> bool:
    """A cycle of one to twenty words turning three times or more, over 40% of the text."""
    n, covered, at = len(words), 0, 0
    while at < n:
        best = 0
        for period in range(1, min(20, (n - at) // 3) + 1):
            if words[at] != words[at + period] or words[at] != words[at + 2 * period]:
                continue  # cheap: nearly every start fails here
            end = at + period
            while end < n and words[end] == words[end - period]:
                end += 1
            if end - at >= 3 * period:
                best = max(best, end - at)
        covered += best
        at += best or 1
    return covered >= 8 and covered > 0.4 * n


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


def _is_salad(pieces: list[list[str]], n: int) -> bool:
    """Word orders that English never has, doubled words, or long stretches without one function word."""
    broken = doubled = 0
    for piece in pieces:
        for a, b in zip(piece, piece[1:], strict=False):
            if a == b:
                doubled += a not in _FINE_TWICE and not a.isdigit()
            elif a in _DETERMINERS:
                broken += b in _AFTER_DETERMINER
            elif a in _PREPOSITIONS - {"and", "or", "but", "because", "than"}:
                broken += b in _AFTER_PREPOSITION and (a, b) not in {("is", "to"), ("is", "for"), ("is", "with")}
    if doubled + broken >= 2 and doubled + broken >= 0.1 * n:
        return True
    ascii_only = all(w.isascii() for p in pieces for w in p)
    bare = sum(len(p) for p in pieces if len(p) >= 8 and not _FUNCTION & set(p))
    return ascii_only and bare >= 10 and bare > 0.6 * n


def _denies_itself(prose: str) -> bool:
    """The rut of an over-steered model: "I'm not a machine. I'm not a fire. I'm not sure of the right time"."""
    clauses = [c.strip() for c in _PIECE.split(prose.lower().replace("’", "'")) if c.strip()]
    ruts = sum(bool(_SELF_DENIAL.match(c)) for c in clauses)
    return ruts >= 3 and ruts >= 0.5 * len(clauses)
