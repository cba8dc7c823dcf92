"""What is known of latents: where they fire, and which tokens they raise; told beside their numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.cli.terminal import print_facts, say
from clampdown.recipe import Clamp, Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path

UNKNOWN = "no reading is known"
_CONTEXTS, _RAISED = 2, 5


def readings(sae_sha256: str, recipe: Path | None = None) -> dict[int, Mapping[str, Any]]:
    """What was found of an SAE's latents: beside a recipe's file, and of the bundled SAE also what comes along."""
    from clampdown.library import known_latents

    found: dict[int, Mapping[str, Any]] = {}
    come_along = bundled_path(REFUSAL)
    of_bundled = come_along.is_file() and sae_sha256 == Recipe.load(come_along).clamps[0].sae_sha256
    for path in ([come_along] if of_bundled else []) + ([recipe] if recipe else []):
        for one in known_latents(path):
            found[int(one["latent"])] = one
    return found


def told(reading: Mapping[str, Any] | None) -> str:
    """A latent's reading, in a line or two."""
    places = (reading or {}).get("contexts") or []
    raised = [token for token in (reading or {}).get("promotes") or [] if any(map(str.isalpha, token))]
    lines = [f"fires at  {_place(place)}" for place in places[:_CONTEXTS]]
    lines += [f"raises    {' · '.join(map(_shown, raised[:_RAISED]))}"] if raised else []
    return "\n".join(lines) or UNKNOWN


def print_clamped(clamp: Clamp, known: Mapping[int, Mapping[str, Any]]) -> None:
    """A clamp's latents with their values, and what each means."""
    named = {latent: f"{latent:>8} {clamp.sign} {_value(value)}" for latent, value in clamp.values.items()}
    if any(latent in known for latent in named):
        print_facts({name: told(known.get(latent)) for latent, name in named.items()})
        return
    for name in named.values():
        say(name)
    say(f"{UNKNOWN} of these latents; `clampdown find` tells what those mean that it finds", wrap=True)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _place(place: Mapping[str, Any]) -> str:
    before, token, after = (_shown(str(place.get(key) or "")) for key in ("before", "token", "after"))
    return f"…{before.lstrip()}‹{token}›{after}"


def _shown(text: str) -> str:
    return text.replace("\r", "").replace("\n", "⏎").replace("\t", " ")
