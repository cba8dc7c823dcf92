"""What an endpoint's error means: worth another try, about one row alone, about a setting, or the end of the run.

Servers agree on little but the status, so their codes are read first and their words after that.
"""

import re
from enum import Enum, auto

from clampdown.measuring.endpoint.reply import Trouble

LIMITS = ("max_tokens", "max_completion_tokens")
SETTINGS = (*LIMITS, "temperature", "seed")
"""What a request may do without."""


class Meaning(Enum):
    AGAIN = auto()  # busy or broken for the moment
    FILTERED = auto()  # a content filter refused this conversation
    SETTING = auto()  # a setting that this model does not take
    CUT = auto()  # the limit of tokens ran out before a word was said
    TOO_LONG = auto()  # this conversation does not fit the model
    ROW = auto()  # refused, perhaps for something in this conversation
    END = auto()  # nothing that another row would change


_ROW = (400, 413, 422, 451)
_QUOTA = re.compile(r"insufficient_quota|billing|exceeded your current quota|credit balance", re.I)
_FILTER_CODE = re.compile(
    r"content_?filter|content_policy|content_management|responsibleai|data_inspection|invalid_prompt|moderation|"
    r"prohibited_content|safety"
)
_FILTER_WORDS = re.compile(
    r"content[ _-]?(?:filter|management|moderation|polic|safety)|responsible ?ai|usage polic"
    r"|safety (?:filter|system|polic)"
    r"|\b(?:prompt|input|request|message|output|response|content)\b.{0,60}"
    r"\b(?:flagged|moderat|inappropriate|blocked|violat)"
    r"|flagged.{0,40}\b(?:prompt|input|request|content)",
    re.I,
)
_CUT_WORDS = re.compile(r"could not finish the message|output limit was reached", re.I)
_LIMIT_WORDS = re.compile(
    rf"(?:{'|'.join(LIMITS)}).{{0,80}}(?:too large|at most|at least|less than|must be|<=|>=|minimum|below)", re.I
)
_LONG = re.compile(
    r"context|prompt is too long|too (?:long|large)|maximum.{0,30}tokens|string_above_max_length|input.{0,20}tokens",
    re.I,
)
_REFUSES = re.compile(
    r"unsupported|not support|n't support|unrecogni|unknown|unexpected|extra[ _](?:input|field|param|forbidden)|"
    r"forbidden|not permitted|not allowed|additional propert|only .{0,40}(?:default|supported|allowed)|deprecated|"
    r"strictly positive|(?:must|should|has to|needs to|may only|can only) be|out of range|requires?\b|instead of|"
    r"fixed (?:at|to)|\binvalid (?:value|parameter|argument|temperature)",
    re.I,
)
_NAMED = re.compile(rf"\b({'|'.join(sorted(SETTINGS, key=len, reverse=True))})\b")
_BETTER = re.compile(
    rf"(?:\buse|requires?|replaced by|in favou?r of|expects?)\W{{1,3}}(?:the )?\W?({'|'.join(LIMITS)})\b", re.I
)
"""The name of the limit that a server wants in the other's place."""


def meaning(trouble: Trouble) -> Meaning:
    """What to do about it."""
    status, said = trouble.status, f"{trouble.codes} {trouble.message}"
    if status != 401 and _FILTER_CODE.search(trouble.codes):
        return Meaning.FILTERED
    if status == 429 and _QUOTA.search(said):
        return Meaning.END
    if status in (408, 409, 425, 429) or status >= 500:
        return Meaning.AGAIN
    if status == 403:
        return Meaning.FILTERED if _FILTER_WORDS.search(trouble.message) else Meaning.END
    if status not in _ROW:
        return Meaning.END
    return _of_a_row(trouble, said)


def _of_a_row(trouble: Trouble, said: str) -> Meaning:
    if _CUT_WORDS.search(said):
        return Meaning.CUT
    if _LIMIT_WORDS.search(said) and not re.search(r"context|input|prompt", said, re.I):
        return Meaning.END  # all rows are sent the same limit
    if refused_setting(trouble):
        return Meaning.SETTING
    if trouble.status == 413 or _LONG.search(said):
        return Meaning.TOO_LONG
    return Meaning.FILTERED if _FILTER_WORDS.search(trouble.message) else Meaning.ROW


def refused_setting(trouble: Trouble) -> str | None:
    """The setting that a server does not take, or not with this value; None where the error is about something else."""
    if not _REFUSES.search(f"{trouble.codes} {trouble.message}"):
        return None
    named = trouble.parameter.rpartition(".")[2]
    if named in SETTINGS:
        return named
    if named:
        return None
    if better := _BETTER.search(trouble.message):
        return next(name for name in LIMITS if name != better[1].lower())
    found = _NAMED.search(trouble.message)
    return found[1] if found else None
