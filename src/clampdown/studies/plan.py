"""What a study will do, decided before it starts: the plan, by name or from a study file (TOML)."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.named import NAMED
from clampdown.recipe import RULES

KINDS = ("unsafe", "safe", "lookalike", "capability", "text")
ARMS = (
    "none",
    "sae-pass",
    "clamp",
    "zeroed",
    "unrelated-latent",
    "random-latents",
    "random-directions",
    "difference-in-means",
    "system-prompt",
)
_MOST = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Everything that decides a study's answers besides the model, the recipe and the sets.

    Attributes:
        items: how many items of each kind are taken by seed from each set; 0 takes all, and a kind left out is not
            measured.
        batch: rows answered together. Fixed here because in low precision a row's answer depends on the batch's shape.
        factors: multiples of the recipe's values; must hold 1, the recipe as it is.
        values: clamp values to sweep besides, each given to every latent of the recipe, in the SAE's own units.
        rules: clamp rules to sweep; empty means the recipe's own.
        strengths: multiples of the difference in means.
        temperature: 0 answers greedily; above it, answers are sampled.
        samples: answers to each prompt, each with a seed of its own; more than one needs a temperature.
        draws: recipes drawn for each random control, at least five; item i is answered under draw i modulo their
        number.
        arms: which arms to run, by the names in `ARMS`; `none` is always among them.
    """

    name: str = "quick"
    seed: int = 0
    max_new_tokens: int = 24
    batch: int = 88
    items: Mapping[str, int] = field(
        default_factory=lambda: {"unsafe": 40, "safe": 24, "lookalike": 24, "capability": 40, "text": 8}
    )
    factors: tuple[float, ...] = (0.75, 1.0, 1.25)
    values: tuple[float, ...] = ()
    rules: tuple[str, ...] = ()
    strengths: tuple[float, ...] = (0.5, 0.75, 1.0)
    temperature: float = 0.0
    samples: int = 1
    draws: int = 5
    arms: tuple[str, ...] = ARMS

    def __post_init__(self) -> None:
        for key, least in (("seed", 0), ("max_new_tokens", 1), ("batch", 1), ("draws", 5), ("samples", 1)):
            value = getattr(self, key)
            _require(
                _whole(value) and least <= value < _MOST, f"{key} must be a whole number from {least}, got {value!r}"
            )
        for key in ("factors", "strengths"):
            values = getattr(self, key)
            good = len(values) > 0 and all(_number(v) and v > 0 for v in values) and len(set(values)) == len(values)
            _require(good, f"{key} must be different positive numbers, got {list(values)}")
        _require(
            _number(self.temperature) and self.temperature >= 0,
            f"temperature must be a number from 0, got {self.temperature!r}",
        )
        _require(
            self.samples == 1 or self.temperature > 0,
            f"samples = {self.samples} needs a temperature above 0: greedy answers are all the same",
        )
        good = all(_number(v) for v in self.values) and len(set(self.values)) == len(self.values)
        _require(good, f"values must be different numbers, got {list(self.values)}")
        _require(1 in self.factors, f"factors must hold 1, the recipe as it is; got {list(self.factors)}")
        _among("rules", self.rules, RULES)
        _among("arms", self.arms, ARMS)
        _require(
            {"none", "clamp"} <= set(self.arms), "arms must hold none and clamp: all others are compared with them"
        )
        _among("items", tuple(self.items), KINDS)
        _require("unsafe" in self.items, "items must hold unsafe: a study of refusal needs unsafe requests")
        for kind, count in self.items.items():
            good = _whole(count) and 0 <= count < _MOST
            _require(good, f"items.{kind} must be a whole number (0 takes all), got {count!r}")

    def limit(self, kind: str) -> int | None:
        """The most items taken from a set of a kind; None for all of them."""
        return self.items.get(kind) or None

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, in the order of its fields."""
        body = {f.name: getattr(self, f.name) for f in fields(self)}
        body = {key: list(value) if isinstance(value, tuple) else value for key, value in body.items()}
        return body | {"items": dict(self.items)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Plan":
        """The plan that `to_dict` told of."""
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in body.items()}
        return cls(**plain)


@dataclass(frozen=True)
class StudyFile:
    """A study file: the plan, and what it names besides; None and {} leave the choice to the caller."""

    plan: Plan
    model: str | None = None
    recipe: Path | None = None
    sets: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


def named_plan(name: str) -> Plan:
    """The plan called `quick` or `full`. Raises ClampdownError for any other name."""
    if name not in PLANS:
        raise ClampdownError(f"no plan is called {name!r}; use {' or '.join(PLANS)}, or a study file ending in .toml")
    return PLANS[name]


def read_study_file(path: Path) -> StudyFile:
    """Read a study file.

    Its keys are `plan` (the named plan it starts from, `quick` where it is missing), any key of `Plan`, `model`,
    `recipe`, and a table `sets` with a path or a name of a public set, or a list of these, for each kind. Paths are
    relative to the file.

    Raises:
        ClampdownError: the file can't be read, is not TOML, or has an unknown key or a wrong value.
    """
    path = Path(path).expanduser()
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ClampdownError(f"can't read study file {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ClampdownError(f"study file {path} is not valid TOML ({error})") from error
    try:
        return _study(body, path)
    except ClampdownError as error:
        raise ClampdownError(f"study file {path}: {error}") from error


def _study(body: Mapping[str, Any], path: Path) -> StudyFile:
    keys = {f.name for f in fields(Plan)}
    unknown = sorted(set(body) - keys - {"plan", "model", "recipe", "sets"})
    known = ", ".join(sorted({*keys, "plan", "model", "recipe", "sets"}))
    _require(not unknown, f"unknown key {', '.join(unknown)}; known: {known}")
    for key in ("plan", "name", "model", "recipe"):
        _require(isinstance(body.get(key, ""), str), f"{key} must be a text, got {body.get(key)!r}")
    base = named_plan(body.get("plan", "quick"))
    own = {"name": path.stem} | {key: _frozen(key, value) for key, value in body.items() if key in keys}
    return StudyFile(
        replace(base, **own), _model(body, path.parent), _recipe(body, path.parent), _sets(body, path.parent)
    )


def _frozen(key: str, value: Any) -> Any:
    """TOML's lists as the plan's tuples."""
    if key in ("factors", "values", "strengths", "rules", "arms"):
        _require(isinstance(value, list), f"{key} must be a list, got {value!r}")
        return tuple(float(v) if _number(v) else v for v in value)
    if key == "temperature" and _number(value):
        return float(value)
    if key == "items":
        _require(isinstance(value, dict), "items must be a table of counts, such as [items] unsafe = 40")
    return value


def _model(body: Mapping[str, Any], folder: Path) -> str | None:
    name = body.get("model")
    local = folder / Path(name).expanduser() if name else None
    return str(local) if local is not None and local.is_dir() else name


def _recipe(body: Mapping[str, Any], folder: Path) -> Path | None:
    return folder / Path(body["recipe"]).expanduser() if body.get("recipe") else None


def _sets(body: Mapping[str, Any], folder: Path) -> dict[str, tuple[Path, ...]]:
    table = body.get("sets", {})
    _require(isinstance(table, dict), "sets must be a table of paths, such as [sets] unsafe = 'prompts.jsonl'")
    _among("sets", tuple(table), KINDS)
    found = {}
    for kind, value in table.items():
        names = value if isinstance(value, list) else [value]
        good = bool(names) and all(isinstance(name, str) and name for name in names)
        _require(good, f"sets.{kind} must be a path or a list of paths, got {value!r}")
        found[kind] = tuple(_set_path(name, folder) for name in names)
    return found


def _set_path(name: str, folder: Path) -> Path:
    """Where a set's file is; a set's name stays as it is, unless the study file's folder holds a file of that name."""
    path, (known, _, copy) = folder / Path(name).expanduser(), name.partition("=")
    if path.is_file() or known not in NAMED:
        return path
    return Path(f"{known}={folder / Path(copy).expanduser()}" if copy else known)


def _among(key: str, values: tuple[Any, ...], known: tuple[str, ...]) -> None:
    wrong = [str(v) for v in values if v not in known]
    _require(not wrong, f"{key} does not know {', '.join(wrong)}; known: {', '.join(known)}")
    _require(len(set(values)) == len(values), f"{key} names something twice")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ClampdownError(message)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_EVERYTHING = dict.fromkeys(KINDS, 0)
PLANS = {
    "quick": Plan(),
    "full": Plan(
        name="full",
        max_new_tokens=64,
        items=_EVERYTHING,
        factors=(0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
        rules=("delta", "reconstruct"),
        strengths=(0.25, 0.5, 0.75, 1.0, 1.25),
        draws=10,
    ),
}
