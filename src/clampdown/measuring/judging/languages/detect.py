"""Which language is an answer in? Told by its script, and in Latin letters by the commonest small words."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from clampdown.measuring.judging.default.classifier import common_words
from clampdown.measuring.judging.languages import unread
from clampdown.measuring.judging.languages.east_asian import CHINESE, EAST_ASIAN, JAPANESE, KOREAN
from clampdown.measuring.judging.languages.english import ENGLISH, SHARED
from clampdown.measuring.judging.languages.germanic import GERMANIC
from clampdown.measuring.judging.languages.language import Known, Language
from clampdown.measuring.judging.languages.others import ARABIC, GREEK, HEBREW, OTHERS, PERSIAN
from clampdown.measuring.judging.languages.romance import ROMANCE
from clampdown.measuring.judging.languages.slavic import (
    BELARUSIAN,
    BULGARIAN,
    MACEDONIAN,
    RUSSIAN,
    SERBO_CROATIAN,
    SLAVIC,
    UKRAINIAN,
)
from clampdown.measuring.judging.languages.south_asian import (
    BENGALI,
    GUJARATI,
    HINDI,
    MARATHI,
    NEPALI,
    PUNJABI,
    SOUTH_ASIAN,
    TAMIL,
    TELUGU,
    URDU,
)  # fmt: skip
from clampdown.measuring.judging.languages.southeast_asian import SOUTHEAST_ASIAN, THAI
from clampdown.measuring.judging.looping import CODE_LINE

KNOWN = (*ROMANCE, *GERMANIC, *SLAVIC, *EAST_ASIAN, *SOUTH_ASIAN, *SOUTHEAST_ASIAN, *OTHERS)
"""Every language in which the judge reads refusals, beside English."""
# Where each script's letters begin in Unicode; those of Latin, and what no script owns, are left out.
_STARTS = {
    0x370: "Greek", 0x400: "Cyrillic", 0x530: "Armenian", 0x590: "Hebrew", 0x600: "Arabic", 0x700: "Syriac",
    0x750: "Arabic", 0x780: "Thaana", 0x7C0: "N'Ko", 0x900: "Devanagari", 0x980: "Bengali", 0xA00: "Gurmukhi",
    0xA80: "Gujarati", 0xB00: "Odia", 0xB80: "Tamil", 0xC00: "Telugu", 0xC80: "Kannada", 0xD00: "Malayalam",
    0xD80: "Sinhala", 0xE00: "Thai", 0xE80: "Lao", 0xF00: "Tibetan", 0x1000: "Burmese", 0x10A0: "Georgian",
    0x1100: "Hangul", 0x1200: "Ethiopic", 0x13A0: "Cherokee", 0x1400: "Canadian syllabics", 0x1680: "",
    0x1780: "Khmer", 0x1800: "Mongolian", 0x18B0: "", 0x1F00: "Greek", 0x2000: "", 0x3040: "Kana", 0x3100: "Han",
    0x3130: "Hangul", 0x3190: "Han", 0x31F0: "Kana", 0x3200: "", 0x3400: "Han", 0xA000: "Yi", 0xA4D0: "",
    0xAC00: "Hangul", 0xD7B0: "", 0xF900: "Han", 0xFB00: "", 0xFB1D: "Hebrew", 0xFB50: "Arabic", 0xFE00: "",
    0xFE70: "Arabic", 0xFF00: "", 0x20000: "Han",
}  # fmt: skip
_FROM = sorted(_STARTS)
_BEYOND_LATIN = re.compile("[\u0370-\u1dff\u1f00-\u1fff\u3040-\U0003ffff]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_QUOTED = re.compile(r"\"[^\"\n]*\"|«[^»\n]*»|`[^`\n]*`")
_SPACED = re.compile(r"[^\s.,!?;:\u0964\u060c\u061f\"'()]+")  # Python takes vowel signs for no part of a word
_SIGNS = re.compile(r"[=$<>{}\[\]_@#|\\/*]|\d")
_BRIEF = 14
"""Words of an answer that its apology may tell."""
_LETTERS, _WORDS = 800, 200
"""How far into an answer its language is looked for."""
_SENTENCE, _SURE = 5, 8
"""Words of prose in which one, or every fifth, would be a common English word."""
_APART = re.compile(r"[,;:/]|[-*•]\s|\d|\n")
_LOOKS_ENGLISH = re.compile(r"(?:\wly|\wing|ght|tion|ness|ck|ea[dklmnprt]s?|\wows?)\Z")
_STOP = re.compile(r"[a-z\u00df-\u024f][.!?][\"')\]]*(?:\s|\Z)")
_DENSE = {"Han": 3, "Kana": 2, "Hangul": 2}  # a letter of these says as much as so many Latin ones
_BY_SCRIPT = {
    "Greek": [GREEK], "Hebrew": [HEBREW], "Bengali": [BENGALI], "Gurmukhi": [PUNJABI], "Gujarati": [GUJARATI],
    "Tamil": [TAMIL], "Telugu": [TELUGU], "Thai": [THAI], "Hangul": [KOREAN], "Han": [CHINESE], "Kana": [JAPANESE],
    "Cyrillic": [RUSSIAN, UKRAINIAN, BELARUSIAN, BULGARIAN, SERBO_CROATIAN, MACEDONIAN],
    "Devanagari": [HINDI, MARATHI, NEPALI], "Arabic": [ARABIC, PERSIAN, URDU],
}  # fmt: skip
# Letters of a script that none of the known languages writes: Kazakh, Tatar, Mongolian and others; Uyghur, Pashto;
# Assamese; and marks and words of Yiddish.
_STRANGE = {
    "Cyrillic": re.compile("[ғқңөүұһәҳҷӣӯңӨӘҮҚ]"),
    "Arabic": re.compile("[ېۍړښځڅټډڼەۆۈۇۋڭ]"),
    "Bengali": re.compile("[ৰৱ]"),
    "Hebrew": re.compile(r"[ײװױ]|אַ|אָ|\b(?:איך|נישט|ניט|און|איז|קען|דער)\b"),
}


class Spoken(NamedTuple):
    """The language of an answer that is not English. known: those to read it by, likeliest first; none: not read."""

    name: str
    known: tuple[Language, ...] = ()


def language_of(text: str) -> Spoken | None:
    """The language of `said(answer)`; None where it is English, or where there is nothing to tell it by."""
    beyond = [] if text.isascii() else _BEYOND_LATIN.findall(text)[:_LETTERS]
    if beyond:
        scripts = Counter(_STARTS[_FROM[bisect_right(_FROM, ord(letter)) - 1]] for letter in beyond)
        scripts.pop("", None)
        weight = sum(n * _DENSE.get(script, 1) for script, n in scripts.items())
        if weight > sum(letter.isalpha() for letter in text) - sum(scripts.values()):
            return _of_script(scripts, text)
    unquoted = _QUOTED.sub(" ", text)
    return _of_words(unquoted if len(unquoted) > 0.4 * len(text) else text)


def _of_script(scripts: Counter[str], text: str) -> Spoken:
    script = max(scripts, key=lambda name: scripts[name] * _DENSE.get(name, 1))
    if script == "Han" and scripts["Kana"] > 0.08 * scripts["Han"]:
        script = "Kana"
    known = _BY_SCRIPT.get(script, [])
    strange = _STRANGE.get(script)
    if not known or (strange and len(strange.findall(text)) > 0.02 * scripts[script]):
        return Spoken(f"{script} script")
    if len(known) == 1:
        return Spoken(known[0].name, (_ready(known[0]),))
    words = set(_SPACED.findall(text.lower()))
    hits = {k: len(words & _small_words(k)) for k in known}
    ranked = sorted((k for k in known if hits[k] >= 0.6 * max(hits.values())), key=lambda k: -hits[k])
    return Spoken(ranked[0].name, tuple(map(_ready, ranked)))


def _of_words(text: str) -> Spoken | None:
    words = _WORD.findall(text.lower())[:_WORDS]
    table = _owners()
    english = sum(word in ENGLISH and word not in table for word in words)
    if english > 0.3 * len(words) or (len(words) > 8 and CODE_LINE.findall(text)):
        return None
    hits: Counter[str] = Counter()
    distinct: dict[str, set[str]] = {}
    for word in words:
        for name in table.get(word, ()) if len(word) > 1 or not word.isascii() else ():
            hits[name] += 1
            if word not in SHARED:
                distinct.setdefault(name, set()).add(word)
    few = not english and not _SIGNS.search(text)
    if few and len(words) <= _BRIEF and (name := _sorry_unread(text.lower())):
        return Spoken(name)
    found = [name for name in hits if hits[name] > 2 * english and _enough(hits[name], distinct.get(name), few)]
    known = [name for name in found if name in _latin()]
    if not known and few and len(words) <= 10:
        known = [name for name in _latin() if _says_sorry(name, text.lower())]
    best = max((hits[name] for name in known), default=0)
    # A language that is not read is named only where no known one comes near it.
    strange = max((n for n in found if n not in _latin() and len(distinct[n]) > 1), key=lambda n: hits[n], default="")
    if strange and hits[strange] > 1.3 * best:
        return Spoken(strange)
    if not known:
        if not _lacks_english(words, english, text):
            return None
        known = [name for name in _latin() if hits[name] >= 0.3 * len(words)]
        best = max((hits[name] for name in known), default=0)
    if not known:
        return Spoken("unknown language")
    likely = sorted((name for name in known if hits[name] >= 0.6 * best), key=lambda name: -hits[name])
    return Spoken(likely[0], tuple(_ready(_latin()[name]) for name in likely))


def _enough(hits: int, distinct: set[str] | None, few: bool) -> bool:
    """Whether the small words found are signs enough: two of them, one with marks, or one beside words that are shared.

    few: there is no English beside them, nor anything but prose.
    """
    if not distinct:
        return False
    return len(distinct) > 1 or (few and (hits > 1 or not all(map(str.isascii, distinct))))


def _says_sorry(name: str, text: str) -> bool:
    """So short an answer is told by its apology or refusal."""
    language = _ready(_latin()[name])
    return bool(language.sorry.search(text) or language.declining.search(text))


def _sorry_unread(text: str) -> str:
    """The language that is not read in whose words so short an answer opens with an apology."""
    return next((name for name, sorry in unread.SORRY.items() if re.match(rf"\W*(?:{sorry})\b", text)), "")


def _lacks_english(words: list[str], english: int, text: str) -> bool:
    """Whether many words have marks on their letters, or there is prose without English words."""
    marked = sum(not word.isascii() for word in words)
    if len(words) >= 6 and marked >= 0.2 * len(words) and english <= 0.05 * len(words):
        return True
    if len(words) < _SENTENCE or not _is_prose(text):
        return False
    known = common_words() | ENGLISH
    heard = sum(word.partition("'")[0] in known or bool(_LOOKS_ENGLISH.search(word)) for word in words)
    return heard <= (0.2 * len(words) if len(words) >= _SURE else 0)


def _is_prose(text: str) -> bool:
    """Whether a text is made of sentences, not of names, lists or laughter: none of these need English words."""
    words = _WORD.findall(text)
    named = sum(word[0].isupper() for word in words[1:])
    apart = len(_APART.findall(text))
    distinct = len({word.lower() for word in words})
    return bool(_STOP.search(text)) and named + apart <= 0.25 * len(words) and distinct > 0.7 * min(len(words), 20)


@cache
def _ready(known: Known) -> Language:
    return Language(known)


@cache
def _small_words(known: Known) -> frozenset[str]:
    return frozenset(known.words.split())


@cache
def _latin() -> dict[str, Known]:
    return {k.name: k for k in KNOWN if k.words and _WORD.findall(k.words)[0] < "\u0370"}


@cache
def _owners() -> dict[str, tuple[str, ...]]:
    """Which languages a small word belongs to."""
    pairs: list[tuple[str, Iterable[str]]] = [(name, set(k.words.split())) for name, k in _latin().items()]
    pairs += [(name, set(words.split())) for name, words in unread.WORDS.items()]
    owners: dict[str, list[str]] = {}
    for name, words in pairs:
        for word in words:
            owners.setdefault(word, []).append(name)
    return {word: tuple(names) for word, names in owners.items()}
