"""A clamp made by hand in chat: words such as 12=8 put into a recipe."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path

if TYPE_CHECKING:
    from clampdown.library import Model

BY_HAND = "hand-clamped"
"""What a recipe is called that nobody has given a name yet."""


def clamped(recipe: Recipe | None, words: list[str], model: "Model") -> Recipe:
    """The recipe with its first clamp's latents set by words such as 12=8, 12=1.5x or +12=8 (which keeps the rest).

    Whatever operation that clamp had, a latent named here is set: beside one that multiplies, or keeps latents at least
    at a value, "+12=8" is a clamp of its own. Without a clamp to change, latents of the bundled SAE are clamped as the
    recipe refusal clamps them: in place of all other edits, or beside them where a word begins with "+".
    """
    base = recipe or Recipe(BY_HAND, model.name, model.chat.sha256)
    note = "clamped by hand" if recipe is None else f"clamped by hand, beginning with {recipe.name}"
    base = replace(base, name=BY_HAND, note=base.note if base.name == BY_HAND and base.note else note)
    values = _values(words)
    for place, old in enumerate(base.edits):
        if isinstance(old, Clamp):
            keep = all(word.startswith("+") for word in words)
            made = _beside(old, values) if keep else (replace(old, values=values, operation="set"),)
            return replace(base, edits=(*base.edits[:place], *made, *base.edits[place + 1 :]))
    from clampdown.saes.directory import BUNDLED
    from clampdown.saes.load import load_sae

    sae = load_sae(BUNDLED)
    clamp = Clamp(sae.name, sae.sha256, sae.layer, values)
    if base.edits and any(word.startswith("+") for word in words):
        return replace(base, edits=(*base.edits, clamp))
    return replace(base, edits=(clamp,), positions=Recipe.load(bundled_path(REFUSAL)).positions)


def _beside(old: Clamp, values: dict[int, float | str]) -> tuple[Clamp, ...]:
    """The clamp's other latents as they were, and these set."""
    if old.operation == "set":
        return (replace(old, values={**old.values, **values}),)
    rest = {latent: value for latent, value in old.values.items() if latent not in values}
    kept = (replace(old, values=rest),) if rest else ()
    return (*kept, replace(old, values=values, operation="set"))


def _values(words: list[str]) -> dict[int, float | str]:
    values: dict[int, float | str] = {}
    for word in words:
        latent, equals, value = word.removeprefix("+").partition("=")
        if not equals or not latent.isdecimal() or not value:
            raise ClampdownError(f"can't read {word!r}; write LATENT=VALUE, such as 123=8 or 123=1.5x")
        try:
            if int(latent) in values:
                raise ClampdownError(f"latent {latent} is named twice; name it once")
            values[int(latent)] = value if value.endswith("x") else float(value)
        except ValueError as error:
            raise ClampdownError(f"can't read the value in {word!r}; write a number, or one such as 1.5x") from error
    return values
