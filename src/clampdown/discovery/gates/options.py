"""How a gate is fitted: its kind, what it reads, and how its threshold is set."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields

from clampdown.discovery.gates.features import Read
from clampdown.errors import ClampdownError
from clampdown.models.residual import check_layer
from clampdown.steering.gates.parts import LINEAR_POOLS, OVER, POOLS

KINDS = ("probe", "latents", "latent-probe", "condition", "words")
OF_LATENTS = ("latents", "latent-probe")
TOKENWISE = ("max", "attention")
"""Pools for which all tokens are held while the gate is fitted."""
_FEW, _MANY = 4, 64
"""Latents at most, of `latents` and of `latent-probe`."""
_MOST_UNITS = 4096
"""Of a probe's hidden layer, at most."""


@dataclass(frozen=True)
class FitOptions:
    """What a caller may choose.

    Attributes:
        kind: one of `KINDS`.
        blocks: such as "11-24" or "8,14"; empty takes those from about a third to four fifths of the model's depth. A
            gate on latents reads its SAE's block alone.
        pools: one of `steering.gates.parts.POOLS` each, perhaps with blocks of its own: "last", "mean@11-14". Empty is
            the kind's own: last and mean for a probe, mean for the others.
        over: which tokens "mean", "max" and "attention" read.
        window: tokens in a row whose mean a maximum is taken of.
        hidden: units of a probe's hidden layer, 0 for none. With the pool max among others there is one more, half
            as wide, which scores each window by itself; the highest counts.
        latents: at most so many; None is the kind's own number.
        false_positives: the largest share of the safe prompts of the calibrating kinds that may open it.
        look_alikes: the largest share of safe prompts of all other kinds, which sound unsafe, that may open it. It is
            held to where there are enough of them to show it.
        conformal: let that hold on average, in place of with 95% confidence.
        calibrate: kinds whose safe prompts set the threshold; empty takes the ordinary ones.
    """

    kind: str = "probe"
    blocks: str = ""
    pools: tuple[str, ...] = ()
    over: str = "request"
    window: int = 1
    hidden: int = 0
    latents: int | None = None
    false_positives: float = 0.02
    look_alikes: float = 0.10
    conformal: bool = False
    calibrate: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, KINDS)
        _one_of("over", self.over, OVER)
        pools = [_pool(text)[0] for text in self.pools]
        for pool in pools:
            _one_of("pool", pool, POOLS)
        if len(set(pools)) > 1 and any(pool in TOKENWISE for pool in pools) and not self.hidden:
            raise ClampdownError(
                f"the pool {TOKENWISE[0]} or {TOKENWISE[1]} is fitted by itself; name it alone, or max with --hidden"
            )
        if self.kind != "probe" and "attention" in pools:
            raise ClampdownError("the pool attention goes with the kind probe")
        if self.kind == "latent-probe" and "max" in pools:
            raise ClampdownError(
                "a latent-probe adds up many latents at a token; take --pool mean, last or request-last"
            )
        if self.kind in (*OF_LATENTS, "condition") and len(self.pools) > 1:
            raise ClampdownError(f"a gate of the kind {self.kind} has one pool; name one")
        if self.kind in OF_LATENTS and (self.blocks or any(_pool(text)[1] for text in self.pools)):
            raise ClampdownError(f"a gate of the kind {self.kind} reads its SAE's block; name another --sae instead")
        windowed = "max" in pools and (self.hidden or pools == ["max"]) and self.kind == "probe"
        if self.window < 1 or (self.window > 1 and not windowed):
            raise ClampdownError("a window of several tokens goes with the kind probe and the pool max alone")
        if self.latents is not None and (self.latents < 1 or self.kind not in OF_LATENTS):
            raise ClampdownError("a number of latents, from 1, goes with the kinds latents and latent-probe alone")
        if not 0 <= self.hidden <= _MOST_UNITS:
            raise ClampdownError(f"a hidden layer has at most {_MOST_UNITS} units, and 0 is none; got {self.hidden}")
        if self.hidden and not self._can_feed:
            raise ClampdownError(
                f"a hidden layer goes with the kind probe and the pools {', '.join(LINEAR_POOLS)}, perhaps with max "
                "beside them"
            )
        if not 0 < self.false_positives < 1:
            raise ClampdownError(f"the false-positive rate must lie between 0 and 1, got {self.false_positives}")
        if not 0 < self.look_alikes <= 1:
            raise ClampdownError(f"the share of look-alikes must lie above 0 and up to 1, got {self.look_alikes}")

    @property
    def command(self) -> str:
        """The command that asks for the same, without the files that it may be given."""
        words = ["clampdown", "gate", "fit"]
        for one in fields(self):
            given = getattr(self, one.name)
            if given != one.default:
                words.append(f"--{'pool' if one.name == 'pools' else one.name.replace('_', '-')}")
                words += [] if given is True else map(str, given if isinstance(given, tuple) else [given])
        return shlex.join(words)

    @property
    def _can_feed(self) -> bool:
        pools = {_pool(text)[0] for text in self.pools}
        return self.kind == "probe" and pools <= {*LINEAR_POOLS, "max"} and pools != {"max"}

    @property
    def most(self) -> int:
        """Latents at most."""
        return self.latents or (_FEW if self.kind == "latents" else _MANY)

    def reads(self, n_layers: int, sae_layer: int | None = None) -> list[Read]:
        """What of a model with so many blocks is read. Raises ClampdownError for a block that does not exist."""
        usual = ("last", "mean") if self.kind == "probe" else ("mean",)
        found: dict[Read, None] = {}
        for text in self.pools or usual:
            pool, own = _pool(text)
            layers = [sae_layer] if sae_layer is not None else _blocks(own or self.blocks, n_layers)
            found |= {Read(pool, layer, self.over): None for layer in layers}
        return list(found)


def _one_of(key: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise ClampdownError(f"{key} must be one of {', '.join(known)}, got {given!r}")


def _pool(text: str) -> tuple[str, str]:
    pool, at, blocks = text.partition("@")
    if at and not blocks:
        raise ClampdownError(f"{text!r} names no blocks; write them behind the @, or {pool} alone")
    return pool, blocks


def _blocks(text: str, n_layers: int) -> list[int]:
    """The blocks of a text such as "8,11-14"; of none the usual ones."""
    if not text:
        return list(range(int(0.37 * n_layers), int(0.8 * n_layers) + 1))
    found: set[int] = set()
    for part in text.split(","):
        span = re.fullmatch(r"\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*", part)
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if first > last:
            raise ClampdownError(f"blocks are written as 8,11-14, got {text!r}")
        check_layer(last, n_layers)
        found |= set(range(first, last + 1))
    return sorted(found)
