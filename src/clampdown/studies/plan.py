"""What a study will do, decided before it starts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.judging.looping import ROOM
from clampdown.measuring.sets.kinds import KINDS
from clampdown.recipe import RULES, Recipe

ARMS = (
    "none",
    "sae-pass",
    "clamp",
    "latents",
    "zeroed",
    "unrelated-latent",
    "random-latents",
    "random-directions",
    "difference-in-means",
    "system-prompt",
    "fixed-refusal",
)
GATES = ("recipe", "open", "shut", "watch")
_MOST = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Everything that decides a study's answers besides the model, the recipe and the sets.

    Attributes:
        items: how many items of each kind are taken by seed from each set; 0 takes all, and a kind left out is not
            measured.
        batch: rows answered together. Fixed here because in low precision a row's answer depends on the batch's shape.
        arms_per_batch: arms that answer their prompts side by side in one batch, each with its share of the rows.
        factors: multiples of the recipe's values; must hold 1, the recipe as it is.
        values: clamp values to sweep besides, each given to every latent of the recipe, in the SAE's own units.
        rules: clamp rules to sweep; empty means the recipe's own.
        strengths: multiples of the difference in means.
        temperature: 0 answers greedily; above it, answers are sampled.
        samples: answers to each prompt, each with a seed of its own; more than one needs a temperature.
        draws: recipes drawn for each random control, at least five; item i is answered under draw i modulo their
        number.
        arms: which arms to run, by the names in `ARMS`; `none` is always among them. `fixed-refusal` needs a gate, and
            `latents`, the clamp that comes along, a recipe for the same model that clamps none.
        gates: of a recipe with a gate, what decides in the arms that edit: `recipe` (the gate does), `open` and `shut`
            (it is forced so), or `watch` (it scores, and nothing is edited); none named is `recipe` and `open`. The
            recipe as it is runs under all of them, the difference in means closest to 1 and the system prompt also
            under `recipe`; sweeps, and controls, which say what edits cost, under one alone: forced open, else the
            first named.
    """

    name: str = "quick"
    seed: int = 0
    max_new_tokens: int = 64
    batch: int = 88
    arms_per_batch: int = 1
    items: Mapping[str, int] = field(
        default_factory=lambda: {"unsafe": 40, "safe": 24, "lookalike": 24, "capability": 40, "text": 8}
    )
    factors: tuple[float, ...] = (0.75, 1.0, 1.25)
    values: tuple[float, ...] = ()
    rules: tuple[str, ...] = ()
    strengths: tuple[float, ...] = (0.5, 1.0)
    temperature: float = 0.0
    samples: int = 1
    draws: int = 5
    arms: tuple[str, ...] = ARMS
    gates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        whole_from = {"seed": 0, "max_new_tokens": 1, "batch": 1, "arms_per_batch": 1, "draws": 5, "samples": 1}
        for key, least in whole_from.items():
            value = getattr(self, key)
            require(
                whole(value) and least <= value < _MOST, f"{key} must be a whole number from {least}, got {value!r}"
            )
        require(
            self.arms_per_batch <= self.batch,
            f"arms_per_batch = {self.arms_per_batch} needs a batch of as many rows at least, got {self.batch}",
        )
        for key in ("factors", "strengths"):
            values = getattr(self, key)
            good = len(values) > 0 and all(number(v) and v > 0 for v in values) and len(set(values)) == len(values)
            require(good, f"{key} must be different positive numbers, got {list(values)}")
        require(
            number(self.temperature) and self.temperature >= 0,
            f"temperature must be a number from 0, got {self.temperature!r}",
        )
        require(
            self.samples == 1 or self.temperature > 0,
            f"samples = {self.samples} needs a temperature above 0: greedy answers are all the same",
        )
        good = all(number(v) for v in self.values) and len(set(self.values)) == len(self.values)
        require(good, f"values must be different numbers, got {list(self.values)}")
        require(1 in self.factors, f"factors must hold 1, the recipe as it is; got {list(self.factors)}")
        among("rules", self.rules, RULES)
        among("arms", self.arms, ARMS)
        among("gates", self.gates, GATES)
        require({"none", "clamp"} <= set(self.arms), "arms must hold none and clamp: all others are compared with them")
        among("items", tuple(self.items), KINDS)
        require("unsafe" in self.items, "items must hold unsafe: a study of refusal needs unsafe requests")
        for kind, count in self.items.items():
            good = whole(count) and 0 <= count < _MOST
            require(good, f"items.{kind} must be a whole number (0 takes all), got {count!r}")

    @property
    def room(self) -> bool:
        """Whether answers have room to end, so that one that loops shows it."""
        return self.max_new_tokens >= ROOM

    def limit(self, kind: str) -> int | None:
        """The most items taken from a set of a kind; None for all of them."""
        return self.items.get(kind) or None

    @property
    def one_gate(self) -> tuple[str, ...]:
        """What decides in arms that run under one gate alone; empty where there are none."""
        return ("open",) if "open" in self.gates else self.gates[:1]

    @property
    def headline_gates(self) -> tuple[str, ...]:
        """The same of a baseline that stands beside the recipe as it is: its own decisions, and the one alone."""
        return tuple(gate for gate in self.gates if gate == "recipe" or gate in self.one_gate)

    def meant_for(self, recipe: Recipe) -> "Plan":
        """The plan as it is for a recipe: what gates it has where none are named, and no arm that needs one it lacks.

        Raises:
            ClampdownError: gates are named, and the recipe has none; or values, and it clamps nothing.
        """
        require(
            not self.values or bool(recipe.clamps),
            f"values are for a recipe that clamps latents, and {recipe.name} clamps none; leave them out",
        )
        if recipe.gate is not None:
            return self if self.gates else replace(self, gates=("recipe", "open"))
        require(not self.gates, f"gates are for a recipe with a gate, and {recipe.name} has none; leave them out")
        return replace(self, arms=tuple(arm for arm in self.arms if arm != "fixed-refusal"))

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, in the order of its fields."""
        body = {f.name: getattr(self, f.name) for f in fields(self)}
        body = {key: list(value) if isinstance(value, tuple) else value for key, value in body.items()}
        if self.arms_per_batch == 1:
            del body["arms_per_batch"]  # studies that older versions began lack it, and go on
        if not self.gates:
            del body["gates"]  # so do these
        return body | {"items": dict(self.items)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Plan":
        """The plan that `to_dict` told of."""
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in body.items()}
        return cls(**plain)


def named_plan(name: str) -> Plan:
    """The plan called `quick` or `full`. Raises ClampdownError for any other name."""
    if name not in PLANS:
        raise ClampdownError(f"no plan is called {name!r}; use {' or '.join(PLANS)}, or a study file ending in .toml")
    return PLANS[name]


def among(key: str, values: tuple[Any, ...], known: tuple[str, ...]) -> None:
    """Check a key's values: all of them known, none of them twice."""
    wrong = [str(v) for v in values if v not in known]
    require(not wrong, f"{key} does not know {', '.join(wrong)}; known: {', '.join(known)}")
    require(len(set(values)) == len(values), f"{key} names something twice")


def require(condition: bool, message: str) -> None:
    """Raise ClampdownError with this message unless the condition holds."""
    if not condition:
        raise ClampdownError(message)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_EVERYTHING = dict.fromkeys(map(str, KINDS), 0)
_FULL_ALONE = ("sae-pass", "zeroed", "unrelated-latent")
"""Arms that the quick plan has no minutes for; its random controls say most of what these would."""
PLANS = {
    "quick": Plan(arms=tuple(arm for arm in ARMS if arm not in _FULL_ALONE)),
    "full": Plan(
        name="full",
        items=_EVERYTHING,
        factors=(0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
        rules=("delta", "reconstruct"),
        strengths=(0.25, 0.5, 0.75, 1.0, 1.25),
        draws=10,
    ),
}
