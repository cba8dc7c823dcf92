"""What callers of the library hand over, looked at before anything is done with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import recipe_path

_RECIPE = "a recipe must be a Recipe, a recipe file's path or None"


def check(good: bool, wanted: str, given: Any) -> None:
    """Raise ClampdownError, saying what was wanted and what was given, unless it is good."""
    if not good:
        said = " ".join(repr(given).split())
        raise ClampdownError(f"{wanted}, got {said if len(said) <= 60 else said[:57] + '...'}")


def text(name: str, given: Any, *, empty: bool = False) -> None:
    """Check for a text."""
    good = isinstance(given, str) and (empty or bool(given.strip()))
    check(good, f"{name} must be a text" + ("" if empty else " that says something"), given)


def whole(name: str, given: Any, least: int) -> None:
    """Check for a whole number."""
    good = isinstance(given, int) and not isinstance(given, bool) and given >= least
    check(good, f"{name} must be a whole number from {least}", given)


def number(name: str, given: Any) -> None:
    """Check for a number; whether it is a good one is for its reader to say."""
    check(isinstance(given, int | float) and not isinstance(given, bool), f"{name} must be a number", given)


def path(name: str, given: Any) -> None:
    """Check for the name of a file, a folder or something else that has one."""
    good = isinstance(given, Path) or (isinstance(given, str) and bool(given.strip()))
    check(good, f"{name} must be a name or a path, not empty", given)


def paths(name: str, given: Any) -> None:
    """Check for a list of names or paths; one alone would be read letter by letter."""
    check(isinstance(given, list | tuple), f"{name} must be a list of files or of names of sets", given)
    for item in given:
        path(f"each of {name}", item)


def prompts(given: Any) -> tuple[list[Any], bool]:
    """The prompts, and whether there is a list of them. Raises ClampdownError for what is neither text nor messages."""
    if isinstance(given, str):
        return [given], False
    check(isinstance(given, list | tuple), "a prompt must be a text, a list of messages, or a list of either", given)
    many = not (given and isinstance(given[0], Mapping))
    for prompt in given if many else [given]:
        if not isinstance(prompt, str):
            _check_chat(prompt)
    return (list(given), True) if many else ([given], False)


def recipes(given: Any, count: int | None) -> list[Any]:
    """One recipe (or path, or None) for each of `count` prompts; for as many as are given where that is None."""
    if _one(given):
        return [given] * (1 if count is None else count)
    check(isinstance(given, list | tuple), f"{_RECIPE}, or a list with one for each row", given)
    for each in given:
        check(_one(each), f"{_RECIPE} in a list of them", each)
    if count is None and not given:
        raise ClampdownError("the list of recipes is empty, so nothing would be steered; give one for each row")
    if count is not None and len(given) != count:
        raise ClampdownError(f"{len(given)} recipes were given for {count} prompts; give one, or one for each")
    return list(given)


def recipe(given: Any) -> Recipe | None:
    """A recipe, read where it is a file's path or the name of one that comes along."""
    check(_one(given), _RECIPE, given)
    if given is None or isinstance(given, Recipe):
        return given
    path("a recipe's path", given)
    return Recipe.load(recipe_path(given))


def _one(given: Any) -> bool:
    return given is None or isinstance(given, Recipe | str | Path)


def _check_chat(given: Any) -> None:
    check(isinstance(given, list | tuple), "a prompt must be a text or a list of messages", given)
    for message in given:
        good = isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))
        check(good, "a message must have a role and a content, both texts", message)


def table(name: str, given: Any) -> None:
    """Check for a mapping whose keys are texts."""
    check(isinstance(given, Mapping) and all(isinstance(key, str) for key in given), f"{name} must be a dict", given)


def either(name: str, given: Any, kinds: tuple[type, ...]) -> None:
    """Check for one of some types."""
    check(isinstance(given, kinds), f"{name} must be a {' or '.join(kind.__name__ for kind in kinds)}", given)


def listed(name: str, given: Any, kinds: tuple[type, ...]) -> Sequence[Any]:
    """Check for a list of some types."""
    check(isinstance(given, list | tuple), f"{name} must be a list", given)
    for item in given:
        either(f"each of {name}", item, kinds)
    return given
