"""Plain data in a reader's words, for what is printed: no brackets, quotes or names of Python's."""

import re
from collections.abc import Iterable, Mapping

_MADE_BY = re.compile(r"[A-Za-z_]\w*\((\w+=.*)\)", re.S)
"""How Python shows an object with fields, which some files hold as a text."""
_SAID = {"true": "yes", "false": "no", "none": "none", "null": "none"}


def in_words(value: object) -> str:
    """A value as one would say it; what is empty or None as an empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        if found := _MADE_BY.fullmatch(value):
            fields = (field.partition("=") for field in re.split(r", (?=\w+=)", found[1]))
            return ", ".join(f"{in_words_key(key)} {in_words(told.strip(chr(39)))}" for key, _, told in fields)
        return _SAID.get(value.lower(), value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{in_words_key(key)} {in_words(held)}" for key, held in value.items())
    if isinstance(value, Iterable):
        return ", ".join(map(in_words, value))
    return str(value)


def in_words_key(key: object) -> str:
    return str(key).replace("_", " ")
