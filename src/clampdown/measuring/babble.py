"""Is a text babble? Loops, word salad and noise, told from its shape alone.

The thresholds are shares of the text, so one slip in a good answer is forgiven. Code, tables, lists, verse
and other languages are left alone: each test looks for something that those do not do. Only English word
order is known here.
"""

import re
from collections import Counter
from itertools import pairwise

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.S)
_TOKEN = re.compile(WORD.pattern + r"|[.!?;:,\n|\"“”()\[\]]")
_LETTER_A = re.compile(r"(?<=\w )A\b")  # the grade or the vitamin, not the article
_PIECE = re.compile(r"[.!?;:,\n|\"“”()\[\]]+")
CODE_LINE = re.compile(r"[{};=]\s*$|^\s*(?:def|class|import|from|return|for|if|print|#|//|<).*[(){}:=;>]", re.M)
_SAME_SYMBOL = re.compile(r"([^\w\s.=*_#|~+\-])(?:\s?\1){7,}")
_LAUGH = re.compile(
    r"(?:\W*(?:ha|he|hi|ho|ah|eh|oh|lol|xo|la|na|no|go|yes|yeah|bye|row|knock|very|really|haha|hehe|jaja))+\W*", re.I
)
_STUTTER = re.compile(r"(?:[\"“”]\w{1,2}){3,}")  # "I"I"I"I
# Five letters or more without a vowel, letters and digits shuffled, or a word longer than English has.
_UNSAYABLE = re.compile(
    r"\b(?:[A-Zb-df-hj-np-tv-xz][b-df-hj-np-tv-xz]{4,}|[A-Za-z]+\d+[A-Za-z]+\d\w*|"
    r"\d+[A-Za-z]+\d+[A-Za-z]\w*|[A-Za-z]{25,})\b"
)
_DANGLING = re.compile(r"\b(?:a|an|the|my|your|to|can)[.\n](?=\s*\S)")  # a line or sentence that stops short
_SENTENCE = re.compile(r"[^.!?。！？।\n]+[.!?。！？।\n]*\s*")
_SENTENCE_END = re.compile(r"[.!?\n]+")
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
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_SELF_DENIAL = re.compile(r"(?:but |and |so )?i(?:'m| am) (?:just|not|a|just not)\b(?: (?:a|an|the|sure)\b)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DETERMINERS = _words("a an the my your his its our their every")
_AUXILIARIES = _words("is are was were am be been can will would could should must do does did may has have")
_PRONOUNS = _words("i you he she we they it me him us them i'm you're")
_PREPOSITIONS = _words("to of for with from at by into and or but because than is")
# No English noun phrase goes on so: "the will be providing a is going to be a a providing".
_NOUN_OR_VERB = _words("will must can do may")
_AFTER_DETERMINER = (_AUXILIARIES | _PRONOUNS | _PREPOSITIONS | _DETERMINERS | {"provide"}) - (_NOUN_OR_VERB - {"may"})
_BEFORE_NOUN = _PREPOSITIONS - {"and", "or", "but", "because", "than"}
_AFTER_PREPOSITION = _words("i am is was were can to of for with")
# Doubles that English allows.
_FINE_TWICE = _words("had that very so no ha bye yeah yes la na knock row ho hey now there far many really is")
# Words that sound prose cannot do without; those of other languages too, lest they be taken for salad.
_FUNCTION = _DETERMINERS | _AUXILIARIES | _PRONOUNS | _PREPOSITIONS
_FUNCTION |= _words("this that these those not no if as in on out up so there here what which who how when where")
_FUNCTION |= _words("de la el los las que en y un una por con para se es le les et des du est dans pour der die das")
_FUNCTION |= _words("und ist ein eine nicht zu mit den von il di e che per non o da do em os het een van ik och att")


def is_babble(text: str, prompt: str = "", *, english: bool = True) -> bool:
    """True when text reads as a broken model's output. A prompt that asks for repetition excuses loops.

    Of other languages only noise and loops are told.
    """
    if not any(c.isalnum() for c in text):
        return len(text.strip()) > 0 and not _is_emoji(text.strip())
    if _is_noise(text):
        return True
    prose = _CODE.sub("\n", text)
    if len(CODE_LINE.findall(prose)) >= 2 or _ASKS_REPEAT.search(prompt):
        return False
    tokens = [t.lower() for t in _TOKEN.findall(_LETTER_A.sub("letter", prose.replace("’", "'")))]
    words = [t for t in tokens if t[0].isalnum()]
    if _loops_within(prose):
        return True
    if len(words) < 6:
        return False
    if _loops(words) or _says_one_word(words) or _stale(words):
        return True
    if not english:
        return False
    return _is_salad(tokens, len(words), len(_DANGLING.findall(prose))) or _denies_itself(prose, len(words))


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


def _is_emoji(text: str) -> bool:
    return len(text) <= 8 and any(ord(c) > 0x2190 and c != "\ufffd" for c in text)


def _is_noise(text: str) -> bool:
    """Runs of one symbol, replacement characters, more symbols than letters, or words that no mouth could
    say."""
    if text.count("\ufffd") > max(2, len(text) // 40):
        return True
    if _STUTTER.search(text):
        return True
    if any(len(run.group()) >= max(8, 0.3 * len(text)) for run in _SAME_SYMBOL.finditer(text)):
        return True
    words = WORD.findall(text)
    letters, solid = sum(map(len, words)), len("".join(text.split()))
    if solid >= 24 and letters < 0.35 * solid and "|" not in text and "```" not in text:
        return True
    if len(words) < 6 or "```" in text:
        return False
    odd = len(_UNSAYABLE.findall(text))
    return odd >= 4 and odd > 0.3 * len(words)


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


def _is_salad(tokens: list[str], n: int, wrong: int) -> bool:
    """Word orders that English never has, doubled words, or long stretches without one function word.

    tokens: words and marks; wrong: the slips already counted; n: how many of the tokens are words.
    """
    bare = stretch = 0
    known = foreign = False
    for a, b, c in zip(tokens, [*tokens[1:], "."], [*tokens[2:], ".", "."], strict=True):
        if not a[0].isalnum():
            stretch, known = 0, False
            continue
        wrong += _is_wrong(a, b, c)
        stretch, known, foreign = stretch + 1, known or a in _FUNCTION, foreign or not a.isascii()
        if not b[0].isalnum() and stretch >= 8 and not known:
            bare += stretch
    if (wrong >= 2 and wrong >= 0.1 * n) or (wrong >= 3 and wrong >= 0.06 * n):
        return True
    return not foreign and bare >= 10 and bare > 0.6 * n


def _is_wrong(a: str, b: str, c: str) -> bool:
    if a == b:
        return a not in _FINE_TWICE and not a.isdigit()
    if a in _DETERMINERS:
        if a == "a" and len(b) > 2 and b[0] in "aei" and not b.startswith("eu"):
            return True  # "a assistive"
        return b in _AFTER_DETERMINER or (b in _NOUN_OR_VERB and c in ("be", "provide", "do"))
    return a in _BEFORE_NOUN and b in _AFTER_PREPOSITION and a + " " + b not in ("is to", "is for", "is with", "is of")


def _denies_itself(prose: str, n: int) -> bool:
    """The rut of an over-steered model: "I'm not a machine. I'm not a fire. I'm not sure of the right
    time"."""
    plain = prose.lower().replace("’", "'")
    for marks, enough in ((_PIECE, 3), (_SENTENCE_END, 2)):
        parts = [c.strip() for c in marks.split(plain) if c.strip()]
        ruts = sum(bool(_SELF_DENIAL.match(c)) for c in parts)
        if n >= 14 and ruts >= enough and ruts >= 0.5 * len(parts):
            return True
    return False
