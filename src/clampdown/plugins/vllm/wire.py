"""How a recipe travels with a request: as texts in its `vllm_xargs`, which vLLM keeps as `extra_args`.

    "clampdown": "guarded"                        a recipe by name, or
    "clampdown": "{\"positions\": …, \"edits\": …}"   the recipe's file as JSON
    "clampdown_user": "[[24, 41]]"                where the user's turns lie among the prompt's tokens, if that is known
    "clampdown_decision": "open"                  what its gate decided, where that lies outside: open or shut

Any other key that begins so is an error, for it may be one of these with a slip in it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from clampdown.errors import ClampdownError, reason
from clampdown.models.prompt import Spans
from clampdown.recipe import Recipe

KEY = "clampdown"
USER, DECISION = f"{KEY}_user", f"{KEY}_decision"
_WORDS = {"open": True, "shut": False}


class OwnText(str):
    """A recipe's JSON that our own engine hands over in the same process: its files need not be known by name."""

    __slots__ = ()


@dataclass(frozen=True)
class Asked:
    """What a request asks: its recipe, and what is known beside the prompt's ids.

    Attributes:
        user: the tokens [start, end) of the user's turns; None where that is not known.
        decision: what the recipe's gate decided, where that lies outside.
    """

    recipe: Recipe
    user: Spans | None = None
    decision: bool | None = None


@dataclass(frozen=True)
class Written:
    """The same as it was written: the recipe by its name or as JSON."""

    recipe: str
    user: Spans | None = None
    decision: bool | None = None

    @property
    def own(self) -> bool:
        """Whether our own engine wrote it, in this process."""
        return isinstance(self.recipe, OwnText)


def written(extra_args: Mapping[str, Any] | None) -> Written | None:
    """What a request's extra arguments ask of us; None where they ask nothing.

    Raises:
        ClampdownError: an unknown key of ours, one without a recipe, or a value that is none.
    """
    ours = {key: value for key, value in (extra_args or {}).items() if key.lower().startswith(KEY)}
    if not ours:
        return None
    if unknown := sorted(set(ours) - {KEY, USER, DECISION}):
        raise ClampdownError(f"vllm_xargs has no {unknown[0]}; there is {KEY}, {USER} and {DECISION}")
    recipe = ours.get(KEY)
    if not isinstance(recipe, str) or not recipe.strip():
        raise ClampdownError(f"{KEY} in vllm_xargs must be a recipe's name, or its file as JSON in one text")
    return Written(recipe, _spans(ours.get(USER)), _decision(ours.get(DECISION)))


def _spans(text: Any) -> Spans | None:
    if text is None:
        return None
    try:
        told = json.loads(text)
        spans = tuple((start, end) for start, end in told)
        good = all(type(border) is int for span in spans for border in span)
    except (TypeError, ValueError, RecursionError):
        good = False
    if not good:
        raise ClampdownError(f"{USER} must be a list of [start, end] in token numbers, such as '[[24, 41]]'")
    return spans


def _decision(text: Any) -> bool | None:
    if text is not None and text not in _WORDS:
        raise ClampdownError(f"{DECISION} must be open or shut")
    return None if text is None else _WORDS[text]


def to_extra_args(asked: Asked) -> dict[str, str]:
    """The extra arguments of a request whose recipe was checked; `asked_by` reads them."""
    told: dict[str, str] = {KEY: _text(asked.recipe)}
    if asked.user is not None:
        told[USER] = json.dumps(asked.user)
    if asked.decision is not None:
        told[DECISION] = "open" if asked.decision else "shut"
    return told


@lru_cache(maxsize=1024)
def _text(recipe: Recipe) -> str:
    return OwnText(json.dumps(recipe.to_dict()))


def asked_by(extra_args: Mapping[str, Any] | None) -> Asked | None:
    """What a request asks whose extra arguments were checked; a gate's file is named where it lies."""
    told = written(extra_args)
    return None if told is None else Asked(recipe_of(told.recipe), told.user, told.decision)


@lru_cache(maxsize=1024)
def recipe_of(text: str) -> Recipe:
    """The recipe in a JSON text. Raises ClampdownError if it is none."""
    return Recipe.from_dict(body_of(text))


def body_of(text: str) -> dict[str, Any]:
    """What a recipe's JSON text says. Raises ClampdownError if it is no object."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClampdownError(f"{KEY} in vllm_xargs is no JSON: {reason(error)}") from error
    if not isinstance(body, dict):
        raise ClampdownError(f"{KEY} in vllm_xargs must be a recipe's file as JSON, an object")
    return body
