"""The edits of a recipe: latents of an SAE that are clamped, and directions that are added or removed."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.recipe.checks import check_known, check_layer, is_finite, is_whole, require, shown, table_at, text_at

RULES = ("delta", "reconstruct")
OPERATIONS = ("add", "remove")
CLAMP_OPERATIONS = ("set", "at-least", "multiply")
_SIGNS = dict(zip(CLAMP_OPERATIONS, "=≥×", strict=True))


@dataclass(frozen=True)
class Clamp:
    """Set latents of one SAE at one layer to fixed values, keep them at least there, or multiply what they are at.

    Of a latent that is at z, with the value c: `set` makes it c, `at-least` max(z, c), and `multiply` c · z, which
    leaves one that is off alone. `values` maps a latent to its clamp value: a number in the SAE's own activation units,
    or a text such as "1.5x", a multiple of the latent's largest activation on the text the SAE was made with;
    `multiply` takes plain numbers. No latents under `reconstruct` is the bare SAE pass; under `delta` it would do
    nothing and is refused.
    """

    sae: str
    sae_sha256: str
    layer: int
    values: Mapping[int, float | str]
    rule: str = "delta"
    operation: str = "set"

    def __post_init__(self) -> None:
        known = ", ".join(CLAMP_OPERATIONS)
        good = self.operation in CLAMP_OPERATIONS
        require(good, f"a clamp's operation must be one of {known}, got {shown(self.operation)}")
        require(isinstance(self.values, Mapping), f"a clamp's values must be by latent, got {shown(self.values)}")
        require(isinstance(self.sae, str) and isinstance(self.sae_sha256, str), "an SAE's name and hash must be texts")
        require(self.rule in RULES, f"rule must be one of {', '.join(RULES)}, got {shown(self.rule)}")
        check_layer(self.layer)
        require(bool(self.sae), "a clamp must name its SAE")
        require(bool(self.values) or self.rule == "reconstruct", "a delta clamp needs at least one latent")
        for latent, value in self.values.items():
            require(is_whole(latent) and latent >= 0, f"latent must be a whole number from 0, got {shown(latent)}")
            good = is_finite(value) or _multiple(value) is not None
            require(good, f'latent {latent}: the clamp value must be a finite number or "1.5x", got {shown(value)}')
            plain = self.operation != "multiply" or not isinstance(value, str)
            require(plain, f"latent {latent}: multiply takes a plain number, such as 1.5, got {shown(value)}")
        # Adding 0.0 turns -0.0 into 0.0: equal recipes have equal hashes.
        clean = {k: v if isinstance(v, str) else float(v) + 0.0 for k, v in sorted(self.values.items())}
        object.__setattr__(self, "values", _Fixed(clean))
        if not clean:
            object.__setattr__(self, "operation", "set")  # nothing is done to no latent, however it is called

    def __hash__(self) -> int:
        return hash((self.sae, self.layer, self.rule, self.operation, tuple(self.values.items())))

    @property
    def sign(self) -> str:
        """What stands between a latent and its value in print: = for set, ≥ for at-least, × for multiply."""
        return _SIGNS[self.operation]

    def resolved(self, maxima: Mapping[int, float]) -> dict[int, float]:
        """Values in activation units, given each latent's largest activation."""
        factors = {latent: _multiple(value) for latent, value in self.values.items()}
        return {k: float(v) if (f := factors[k]) is None else f * maxima[k] for k, v in self.values.items()}

    @property
    def relative(self) -> list[int]:
        """The latents whose value is a multiple of their maximum."""
        return [latent for latent, value in self.values.items() if isinstance(value, str)]


@dataclass(frozen=True)
class Direction:
    """Add a vector to the residual at one layer, or project it out.

    The vector is `values`, or, where `values` is empty, a random unit vector drawn from `seed`. `add` adds `strength`
    times the vector; `remove` takes `strength` times the residual's part along it away (1 removes it whole).
    """

    layer: int
    strength: float
    operation: str = "add"
    values: tuple[float, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        known = ", ".join(OPERATIONS)
        require(self.operation in OPERATIONS, f"operation must be one of {known}, got {shown(self.operation)}")
        check_layer(self.layer)
        require(is_finite(self.strength), f"strength must be a finite number, got {shown(self.strength)}")
        require(bool(self.values) != (self.seed is not None), "a direction needs either values or a seed")
        require(self.seed is None or is_whole(self.seed), f"seed must be a whole number, got {shown(self.seed)}")
        require(all(map(is_finite, self.values)), "a direction's values must be finite numbers")
        object.__setattr__(self, "strength", float(self.strength) + 0.0)
        object.__setattr__(self, "values", tuple(float(v) + 0.0 for v in self.values))


Edit = Clamp | Direction


def check_apart(clamps: Sequence[Clamp]) -> None:
    """No latent may be clamped twice: the second would read what the first has written, and add to it."""
    for place, one in enumerate(clamps):
        for other in clamps[:place]:
            same = one.sae == other.sae or (one.sae_sha256 and one.sae_sha256 == other.sae_sha256)
            if same and one.layer == other.layer and (twice := sorted(one.values.keys() & other.values.keys())):
                raise ClampdownError(
                    f"latent {twice[0]} of SAE {one.sae} is clamped twice at layer {one.layer}; name it once"
                )


def edit_dict(edit: Edit) -> dict[str, Any]:
    if isinstance(edit, Clamp):
        sae: dict[str, Any] = {
            "kind": "clamp",
            "layer": edit.layer,
            "rule": edit.rule,
            "sae": edit.sae,
            "sae_sha256": edit.sae_sha256,
        }
        if edit.operation != "set":  # written only where it says more than older recipes could
            sae["operation"] = edit.operation
        return {**sae, "latents": {str(latent): value for latent, value in edit.values.items()}}
    body: dict[str, Any] = {"kind": "direction", "layer": edit.layer, "operation": edit.operation}
    body["strength"] = float(edit.strength)
    return body | ({"seed": edit.seed} if edit.seed is not None else {"values": list(edit.values)})


def edit_of(table: Any, number: int) -> Edit:
    where = f"edit {number}"
    require(isinstance(table, Mapping), f"{where} must be a table: [[edits]]")
    rest = {key: value for key, value in table.items() if key != "kind"}
    try:
        if table.get("kind") == "clamp":
            check_known(rest, {"layer", "rule", "operation", "sae", "sae_sha256", "latents"}, "a clamp")
            latents = table_at(rest, "latents")
            for key in latents:
                # One spelling per number: "7" and "07" would silently be one latent.
                require(re.fullmatch("0|[1-9][0-9]{0,17}", key), f"latents must be numbered, got {shown(key)}")
            return Clamp(
                sae=text_at(rest, "sae"),
                sae_sha256=text_at(rest, "sae_sha256", ""),
                layer=rest.get("layer", -1),
                values={int(key): value for key, value in latents.items()},
                rule=text_at(rest, "rule", "delta"),
                operation=text_at(rest, "operation", "set"),
            )
        if table.get("kind") == "direction":
            check_known(rest, set(Direction.__dataclass_fields__), "a direction")
            require("strength" in rest and "layer" in rest, "a direction needs a layer and a strength")
            return Direction(**{**rest, "values": tuple(rest.get("values", ()))})
    except (ClampdownError, TypeError) as error:
        raise ClampdownError(f"{where}: {error}") from error
    raise ClampdownError(f"{where}: kind must be clamp or direction, got {shown(table.get('kind'))}")


class _Fixed(dict[int, float | str]):
    """A mapping that stays as it was made, for a recipe's hash is worked out once."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a recipe can't be changed; make another one")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def _multiple(value: Any) -> float | None:
    """The factor in "1.5x", else None."""
    match = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?)x", value) if isinstance(value, str) else None
    return float(match[1]) if match and math.isfinite(float(match[1])) else None
