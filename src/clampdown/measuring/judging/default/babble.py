"""Is a text babble? Loops, word salad and noise, told from its shape alone.

The thresholds are shares of the text, so one slip in a good answer is forgiven. Code, tables, lists, verse
and other languages are left alone: each test looks for something that those do not do. Only English word
order is known here.
"""

import re

from clampdown.measuring.judging.looping import CODE, WORD, has_cycles, is_excused

_TOKEN = re.compile(WORD.pattern + r"|[.!?;:,\n|\"“”()\[\]]")
_LETTER_A = re.compile(r"(?<=\w )A\b")  # the grade or the vitamin, not the article
_PIECE = re.compile(r"[.!?;:,\n|\"“”()\[\]]+")
_SAME_SYMBOL = re.compile(r"([^\w\s.=*_#|~+\-])(?:\s?\1){7,}")
_STUTTER = re.compile(r"(?:[\"“”]\w{1,2}){3,}")  # "I"I"I"I
# Five letters or more without a vowel, letters and digits shuffled, or a word longer than English has.
_UNSAYABLE = re.compile(
    r"\b(?:[A-Zb-df-hj-np-tv-xz][b-df-hj-np-tv-xz]{4,}|[A-Za-z]+\d+[A-Za-z]+\d\w*|"
    r"\d+[A-Za-z]+\d+[A-Za-z]\w*|[A-Za-z]{25,})\b"
)
_DANGLING = re.compile(r"\b(?:a|an|the|my|your|to|can)[.\n](?=\s*\S)")  # a line or sentence that stops short
_SENTENCE_END = re.compile(r"[.!?\n]+")
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
    prose = CODE.sub("\n", text)
    if is_excused(prose, prompt):
        return False
    tokens = [t.lower() for t in _TOKEN.findall(_LETTER_A.sub("letter", prose.replace("’", "'")))]
    words = [t for t in tokens if t[0].isalnum()]
    if has_cycles(prose, words):
        return True
    if len(words) < 6 or not english:
        return False
    return _is_salad(tokens, len(words), len(_DANGLING.findall(prose))) or _denies_itself(prose, len(words))


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
