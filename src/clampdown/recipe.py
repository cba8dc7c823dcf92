"""The recipe: one small TOML file that says what is done to which model. Pure data, checked when made."""

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.reading import read_text
from clampdown.writing import write_whole

VERSION = 1
RULES = ("delta", "reconstruct")
PROMPT_WINDOWS = ("all", "user", "last", "none")
SCOPES: dict[str, tuple[str, str, bool]] = {
    "all-but-sinks": ("all", "all", False),
    "all": ("all", "all", True),
    "generated": ("none", "all", False),
    "first-generated": ("none", "all", False),  # the first `count`
    "from-last-prompt-token": ("last", "all", False),
}
"""The window on the prompt, that on the answer, and whether sinks are edited, by the name of earlier versions."""
OPERATIONS = ("add", "remove")
_POSITIONS = {"scope", "count", "prompt", "generated", "fade", "sinks", "sink_norm"}


@dataclass(frozen=True)
class Clamp:
    """Set latents of one SAE at one layer to fixed values.

    `values` maps a latent to its clamp value: a number in the SAE's own activation units, or a text such as "1.5x",
    a multiple of the latent's largest activation on the text the SAE was made with. No latents under `reconstruct`
    is the bare SAE pass; under `delta` it would do nothing and is refused.
    """

    sae: str
    sae_sha256: str
    layer: int
    values: Mapping[int, float | str]
    rule: str = "delta"

    def __post_init__(self) -> None:
        _require(isinstance(self.values, Mapping), f"a clamp's values must be by latent, got {_shown(self.values)}")
        _require(isinstance(self.sae, str) and isinstance(self.sae_sha256, str), "an SAE's name and hash must be texts")
        _require(self.rule in RULES, f"rule must be one of {', '.join(RULES)}, got {_shown(self.rule)}")
        _check_layer(self.layer)
        _require(bool(self.sae), "a clamp must name its SAE")
        _require(bool(self.values) or self.rule == "reconstruct", "a delta clamp needs at least one latent")
        for latent, value in self.values.items():
            _require(_whole(latent) and latent >= 0, f"latent must be a whole number from 0, got {_shown(latent)}")
            good = _finite(value) or _multiple(value) is not None
            _require(good, f'latent {latent}: the clamp value must be a finite number or "1.5x", got {_shown(value)}')
        # Adding 0.0 turns -0.0 into 0.0: equal recipes have equal hashes.
        clean = {k: v if isinstance(v, str) else float(v) + 0.0 for k, v in sorted(self.values.items())}
        object.__setattr__(self, "values", _Fixed(clean))

    def __hash__(self) -> int:
        return hash((self.sae, self.layer, self.rule, tuple(self.values.items())))

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
        _require(self.operation in OPERATIONS, f"operation must be one of {known}, got {_shown(self.operation)}")
        _check_layer(self.layer)
        _require(_finite(self.strength), f"strength must be a finite number, got {_shown(self.strength)}")
        _require(bool(self.values) != (self.seed is not None), "a direction needs either values or a seed")
        _require(self.seed is None or _whole(self.seed), f"seed must be a whole number, got {_shown(self.seed)}")
        _require(all(map(_finite, self.values)), "a direction's values must be finite numbers")
        object.__setattr__(self, "strength", float(self.strength) + 0.0)
        object.__setattr__(self, "values", tuple(float(v) + 0.0 for v in self.values))


Edit = Clamp | Direction


@dataclass(frozen=True)
class Positions:
    """Which positions of the sequence are edited: a window on the prompt and one on the answer. Padding never is.

    Attributes:
        sink_norm: a position whose residual is longer counts as an attention sink.
        prompt: "all" of the prompt's tokens, those of the "user" (the contents of user turns, without the template's
            marks and the system prompt, so only where a chat is rendered), the "last" one, or "none". The first answer
            token is decided at the last.
        generated: "all" of the answer's tokens, the first so many, or "none".
        fade: after the first `generated` tokens the weight of Δ falls linearly over so many more: at the i-th of them
            it is 1 − i / (fade + 1).
        sinks: edit attention sinks as well: the first position, and those beyond `sink_norm`.

    Earlier versions named five of these windows by a `scope`, which is still read, and written where it says the same:
    all-but-sinks (everything, the default), all (sinks too), generated, first-generated (the first `count`),
    from-last-prompt-token.
    """

    scope: InitVar[str | None] = None
    count: InitVar[int | None] = None
    sink_norm: float | None = None
    prompt: str = "all"
    generated: str | int = "all"
    fade: int = 0
    sinks: bool = False

    def __post_init__(self, scope: str | None, count: int | None) -> None:
        if scope is not None or count is not None:
            self._set_scope(scope, count)
        _require(
            self.prompt in PROMPT_WINDOWS,
            f"prompt must be one of {', '.join(PROMPT_WINDOWS)}, got {_shown(self.prompt)}",
        )
        number = isinstance(self.generated, int) and _whole(self.generated) and self.generated >= 0
        _require(
            number or self.generated in ("all", "none"),
            f"generated must be all, none or a whole number from 1, got {_shown(self.generated)}",
        )
        if number and not self.generated:
            object.__setattr__(self, "generated", "none")
        _require(_whole(self.fade) and self.fade >= 0, f"fade must be a whole number from 0, got {_shown(self.fade)}")
        _require(
            not self.fade or isinstance(self.generated, int),
            "fade goes with a number of generated tokens, after which it begins",
        )
        _require(isinstance(self.sinks, bool), f"sinks must be true or false, got {_shown(self.sinks)}")
        _require((self.prompt, self.generated) != ("none", "none"), "a window on nothing edits nothing; widen it")
        sink = self.sink_norm
        _require(
            sink is None or (_finite(sink) and sink > 0), f"sink_norm must be a positive number, got {_shown(sink)}"
        )
        object.__setattr__(self, "sink_norm", sink if sink is None else float(sink))

    def _set_scope(self, scope: str | None, count: int | None) -> None:
        scope = "all-but-sinks" if scope is None else scope
        known = isinstance(scope, str) and scope in SCOPES
        _require(known, f"scope must be one of {', '.join(SCOPES)}, got {_shown(scope)}")
        wants = scope == "first-generated"
        _require(wants == (count is not None), "count goes with the scope first-generated, and only with it")
        _require(count is None or (_whole(count) and count > 0), "count must be a whole number from 1")
        window = (self.prompt, self.generated, self.fade, self.sinks)
        _require(window == ("all", "all", 0, False), "give either a scope, or prompt, generated, fade and sinks")
        prompt, generated, sinks = SCOPES[scope]
        for name, value in (("prompt", prompt), ("generated", count or generated), ("sinks", sinks)):
            object.__setattr__(self, name, value)

    @property
    def everywhere(self) -> bool:
        """Whether prompt and answer are edited alike, so that nobody need tell them apart."""
        return (self.prompt, self.generated) == ("all", "all")

    def to_dict(self) -> dict[str, Any]:
        """The keys of [positions]: as a scope where one says it, so that equal windows have equal hashes."""
        window, first = (self.prompt, self.generated, self.sinks), isinstance(self.generated, int)
        named = [scope for scope, meant in SCOPES.items() if meant == window and not self.fade]
        if first and (self.prompt, self.fade, self.sinks) == ("none", 0, False):
            body: dict[str, Any] = {"scope": "first-generated", "count": self.generated}
        elif named:
            body = {"scope": named[0]}
        else:
            body = {"prompt": self.prompt, "generated": self.generated}
            body |= {key: value for key in ("fade", "sinks") if (value := getattr(self, key))}
        return body if self.sink_norm is None else body | {"sink_norm": self.sink_norm}

    def __str__(self) -> str:
        """In words, such as "prompt all, the first 8 generated, but attention sinks"."""
        answer = {"all": "all generated", "none": "none generated"}.get(
            str(self.generated), f"the first {self.generated} generated"
        )
        fade = f", fading over {self.fade} more" if self.fade else ""
        prompt = {
            "all": "all of the prompt",
            "user": "what the user says",
            "last": "the prompt's last token",
            "none": "nothing of the prompt",
        }
        where = "everywhere" if self.everywhere else f"{prompt[self.prompt]}, {answer}{fade}"
        limit = "" if self.sink_norm is None else f" (beyond {self.sink_norm:g})"
        return where + ("" if self.sinks else f", but attention sinks{limit}")


@dataclass(frozen=True)
class Recipe:
    """What is done to a model: edits, where in the sequence, and perhaps a system prompt.

    Equal recipes have equal hashes; every key is checked, and unknown ones are errors.
    """

    name: str
    model: str
    model_sha256: str
    edits: tuple[Edit, ...] = ()
    positions: Positions = field(default_factory=Positions)
    system_prompt: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        # A name is printed in tables and receipts: no line ends, and no escape codes for the terminal.
        for key in ("name", "model", "model_sha256", "system_prompt", "note"):
            _require(isinstance(given := getattr(self, key), str), f"{key} must be a text, got {_shown(given)}")
        _require(bool(self.name) and self.name.isprintable(), "a recipe needs a name, of printable characters")
        _require(bool(self.model), "a recipe must name its model")
        edits = tuple(self.edits) if isinstance(self.edits, list | tuple) else None
        good = edits is not None and all(isinstance(edit, Clamp | Direction) for edit in edits)
        _require(good, f"edits must be Clamps and Directions, got {_shown(self.edits)}")
        _require(isinstance(self.positions, Positions), f"positions must be Positions, got {_shown(self.positions)}")
        object.__setattr__(self, "edits", edits)
        _check_apart([edit for edit in self.edits if isinstance(edit, Clamp)])

    def __hash__(self) -> int:
        return hash(self.sha256)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that changes what the model does; name and note do not."""
        body = {k: v for k, v in self.to_dict().items() if k not in ("name", "note")}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The TOML file's content as plain data."""
        body: dict[str, Any] = {"version": VERSION, "name": self.name}
        body |= {key: text for key in ("note", "system_prompt") if (text := getattr(self, key))}
        body["model"] = {"name": self.model, "sha256": self.model_sha256}
        body["positions"] = self.positions.to_dict()
        body["edits"] = [_edit_dict(edit) for edit in self.edits]
        return body

    def to_toml(self) -> str:
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    def save(self, path: Path) -> None:
        """Write the recipe atomically. Raises ClampdownError if the folder can't be written to."""
        write_whole(path, self.to_toml())

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a recipe file. Raises ClampdownError, naming the file and the key, if anything is off."""
        text = read_text(Path(path), "recipe")
        try:
            return cls.from_toml(text)
        except ClampdownError as error:
            raise ClampdownError(f"recipe {path}: {error}") from error

    @classmethod
    def from_toml(cls, text: str) -> "Recipe":
        try:
            body = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and endless brackets
            raise ClampdownError(f"not valid TOML ({str(error).splitlines()[0]})") from error
        return cls.from_dict(body)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Recipe":
        """The recipe of a parsed TOML file. Raises ClampdownError for unknown, missing or wrong keys."""
        known = {"version", "name", "note", "system_prompt", "model", "positions", "edits"}
        _known(body, known, "the recipe")
        version = body.get("version", VERSION)
        good = _whole(version) and version == VERSION
        _require(good, f"version {_shown(version)} is not known here; this Clampdown reads version {VERSION}")
        model = _table(body, "model")
        _known(model, {"name", "sha256"}, "[model]")
        positions = _table(body, "positions")
        _known(positions, _POSITIONS, "[positions]")
        edits = body.get("edits", [])
        _require(isinstance(edits, list), "edits must be a list of tables: [[edits]]")
        return cls(
            name=_text(body, "name"),
            model=_text(model, "name"),
            model_sha256=_text(model, "sha256", ""),
            edits=tuple(_edit(table, number) for number, table in enumerate(edits, 1)),
            positions=Positions(**positions),
            system_prompt=_text(body, "system_prompt", ""),
            note=_text(body, "note", ""),
        )


class _Fixed(dict[int, float | str]):
    """A mapping that stays as it was made, for a recipe's hash is worked out once."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a recipe can't be changed; make another one")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def _check_apart(clamps: Sequence[Clamp]) -> None:
    """No latent may be clamped twice: the second would read what the first has written, and add to it."""
    for place, one in enumerate(clamps):
        for other in clamps[:place]:
            same = one.sae == other.sae or (one.sae_sha256 and one.sae_sha256 == other.sae_sha256)
            if same and one.layer == other.layer and (twice := sorted(one.values.keys() & other.values.keys())):
                raise ClampdownError(
                    f"latent {twice[0]} of SAE {one.sae} is clamped twice at layer {one.layer}; name it once"
                )


def _edit_dict(edit: Edit) -> dict[str, Any]:
    if isinstance(edit, Clamp):
        sae = {"kind": "clamp", "layer": edit.layer, "rule": edit.rule, "sae": edit.sae, "sae_sha256": edit.sae_sha256}
        return {**sae, "latents": {str(latent): value for latent, value in edit.values.items()}}
    body: dict[str, Any] = {"kind": "direction", "layer": edit.layer, "operation": edit.operation}
    body["strength"] = float(edit.strength)
    return body | ({"seed": edit.seed} if edit.seed is not None else {"values": list(edit.values)})


def _edit(table: Any, number: int) -> Edit:
    where = f"edit {number}"
    _require(isinstance(table, Mapping), f"{where} must be a table: [[edits]]")
    rest = {key: value for key, value in table.items() if key != "kind"}
    try:
        if table.get("kind") == "clamp":
            _known(rest, {"layer", "rule", "sae", "sae_sha256", "latents"}, "a clamp")
            latents = _table(rest, "latents")
            for key in latents:
                # One spelling per number: "7" and "07" would silently be one latent.
                _require(re.fullmatch("0|[1-9][0-9]{0,17}", key), f"latents must be numbered, got {_shown(key)}")
            return Clamp(
                sae=_text(rest, "sae"),
                sae_sha256=_text(rest, "sae_sha256", ""),
                layer=rest.get("layer", -1),
                values={int(key): value for key, value in latents.items()},
                rule=_text(rest, "rule", "delta"),
            )
        if table.get("kind") == "direction":
            _known(rest, set(Direction.__dataclass_fields__), "a direction")
            _require("strength" in rest and "layer" in rest, "a direction needs a layer and a strength")
            return Direction(**{**rest, "values": tuple(rest.get("values", ()))})
    except (ClampdownError, TypeError) as error:
        raise ClampdownError(f"{where}: {error}") from error
    raise ClampdownError(f"{where}: kind must be clamp or direction, got {_shown(table.get('kind'))}")


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    _require(not unknown, f"unknown key {', '.join(map(_key, unknown))} in {where}; known: {', '.join(sorted(known))}")


def _table(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key, {})
    _require(isinstance(value, Mapping), f"{key} must be a table")
    return value


def _text(body: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    _require(isinstance(value, str), f"{key} must be a text" + ("" if key in body else "; it is missing"))
    return str(value)


def _check_layer(layer: Any) -> None:
    _require(_whole(layer) and layer >= 0, f"layer must be a whole number from 0, got {_shown(layer)}")


def _key(key: str) -> str:
    return key if key.isprintable() else repr(key)


def _shown(value: Any) -> str:
    """A wrong value for an error: on one line, and not all of a huge one."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise ClampdownError(message)


def _multiple(value: Any) -> float | None:
    """The factor in "1.5x", else None."""
    match = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?)x", value) if isinstance(value, str) else None
    return float(match[1]) if match and math.isfinite(float(match[1])) else None


def _whole(value: Any) -> bool:
    """An integer of TOML's range, 64 bits, which is also PyTorch's."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _finite(value: Any) -> bool:
    """A number that float32, the arithmetic's type, can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3.4e38
