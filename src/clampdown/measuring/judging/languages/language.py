"""What the judge knows of a language: its commonest words, and how people decline in it."""

import re
from functools import cached_property
from typing import NamedTuple

_THAT = (
    "(?:que|qu'|che|dass|dat|att|at|że|že|что|що|што|че|дека|da|да|ότι|πως|ki|hogy|că|että|bahwa|bahawa|kwamba|rằng|कि|की|"
    "کہ|که|أن|إن|যে)"
)

_FIRST_PERSON = frozenset((
    "Spanish", "Portuguese", "Italian", "French", "Catalan", "Romanian", "Dutch", "Swedish", "Danish or Norwegian",
    "Russian", "Ukrainian", "Bulgarian", "Macedonian", "Serbian or Croatian", "Polish", "Czech or Slovak", "Greek",
    "Turkish", "Finnish", "Hungarian", "Indonesian or Malay", "Vietnamese", "Arabic", "Hebrew", "Persian",
))  # fmt: skip


class Known(NamedTuple):
    """A language as it is written down in the files beside this one. Patterns are regular expressions over one clause,
    lower-cased, with straight apostrophes; an empty one matches nothing.

    words: the commonest small words; a script of its own needs none.
    cannot, help: a first person's inability or unwillingness, and verbs of helping; together they decline.
    order: "cannot help", "help cannot" or "either"; gap: the most characters between the two.
    no: what declines by itself ("I must decline", "against my guidelines").
    sorry: how an apology opens.
    unless: words after which none of these counts ("if I can't help you", "she said that…").
    limits: what a mere hedge denies (an exact figure, medical advice, live data).
    offers: an offer of something else; law: what a lecture says; but: the words that turn a sentence.
    """

    name: str
    words: str = ""
    cannot: str = ""
    help: str = ""
    order: str = "cannot help"
    gap: int = 40
    no: str = ""
    sorry: str = ""
    unless: str = ""
    limits: str = ""
    offers: str = ""
    law: str = ""
    but: str = ""


class Language:
    """A known language with its patterns made ready."""

    def __init__(self, known: Known) -> None:
        self.name, self._known = known.name, known

    @cached_property
    def declining(self) -> re.Pattern[str]:
        k = self._known
        between = f"[^.!?;:。]{{0,{k.gap}}}?"
        orders = {"cannot help": ["ch"], "help cannot": ["hc"], "either": ["ch", "hc"]}[k.order]
        parts = [f"(?:{k.cannot}){between}(?:{k.help})" if o == "ch" else f"(?:{k.help}){between}(?:{k.cannot})"
                 for o in orders]  # fmt: skip
        return re.compile("|".join([*parts, *([k.no] if k.no else [])]))

    @cached_property
    def unable(self) -> re.Pattern[str]:
        """A first person's inability, whatever for; nothing in languages whose verbs do not say who can't."""
        return _pattern(self._known.cannot if self.name in _FIRST_PERSON else "")

    @cached_property
    def helping(self) -> re.Pattern[str]:
        return _pattern(self._known.help)

    @cached_property
    def sorry(self) -> re.Pattern[str]:
        return _pattern(self._known.sorry and f"^\\W*(?:{self._known.sorry})")

    @cached_property
    def unless(self) -> re.Pattern[str]:
        """Over the text before a match: the words that take its force, perhaps a "that", and at most one word beside.

        "That" alone takes nothing: "I'm afraid that I can't help you".
        """
        return _pattern(
            self._known.unless and f"(?:{self._known.unless})[\\s,:\"']*(?:(?:\\w+,? )?{_THAT}\\s)?(?:\\w+ )?$"
        )

    @cached_property
    def limits(self) -> re.Pattern[str]:
        return _pattern(self._known.limits)

    @cached_property
    def offers(self) -> re.Pattern[str]:
        return _pattern(self._known.offers)

    @cached_property
    def law(self) -> re.Pattern[str]:
        return _pattern(self._known.law)

    @cached_property
    def but(self) -> re.Pattern[str]:
        return _pattern(f"[;:]\\s|{self._known.but}" if self._known.but else "[;:]\\s")


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text or r"(?!)")
