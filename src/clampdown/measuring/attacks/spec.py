"""An attack as plain data, as a command's options or a study file name it: checked when made, built when needed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks import crescendo, pair, wrappers
from clampdown.measuring.attacks.attacker import attacker_prompt
from clampdown.measuring.attacks.best_of_n import best_of_n
from clampdown.measuring.attacks.conversation import EndpointTarget, SteeredTarget, Target
from clampdown.measuring.attacks.outcome import Attack, Goal
from clampdown.measuring.attacks.past_tense import past_tense, reworded
from clampdown.measuring.attacks.run import sample
from clampdown.measuring.attacks.scoring import HarmScorer, ScaleScorer, Scorer, published_judge
from clampdown.measuring.attacks.scripted import Scripted, load_scripts
from clampdown.measuring.attacks.tries import Tries
from clampdown.measuring.endpoint.client import Endpoint
from clampdown.measuring.sets.named import BUILT_IN
from clampdown.measuring.sets.named.finding import find_set
from clampdown.measuring.sets.sets import builtin_set
from clampdown.reading import read_bytes

KINDS = ("scripted", "crescendo", "pair", "best-of-n", "templates", "suffixes", "past-tense")
_NEEDS: dict[str, tuple[str, ...]] = {
    "scripted": ("goals",),
    "suffixes": ("suffixes",),
    "crescendo": ("attacker",),
    "pair": ("attacker", "judge"),
}
_CHAT = "openai:MODEL@URL, or a model's folder or hub id"
_REMEDIES = {
    "goals": "name a file of conversations with user_turns (JSONL)",
    "suffixes": "name a file with one a line",
    "attacker": f"name {_CHAT}",
    "judge": f"name {_CHAT}",
}
_TAKES: dict[str, tuple[str, ...]] = {
    "scripted": ("cluster",),
    "crescendo": ("attacker", "attacker_prompt", "max_turns", "max_backtracks"),
    "pair": ("attacker", "attacker_prompt", "streams", "depth"),
    "best-of-n": ("n",),
    "templates": ("templates",),
    "suffixes": ("suffixes",),
    "past-tense": ("attacker",),
}
_ALL_TAKE = ("kind", "name", "goals", "judge", "limit", "seed")
_OWN = {"crescendo": crescendo.OWN_PROMPT, "pair": pair.OWN_PROMPT}
_PLACES = ("goals", "attacker_prompt", "templates", "suffixes", "cluster", "limit")
"""Settings that name or choose what an attack's identity holds the hash of."""
_SPEAKS = 512
"""The longest reply of an attacker or judge, in tokens."""


@dataclass(frozen=True)
class AttackSpec:
    """One attack with its goals.

    Attributes:
        kind: one of `KINDS`.
        name: what records and tables call it; empty for its kind.
        goals: a file or a set's name; empty for the reporting half of the built-in unsafe set. `scripted` needs a file
            with `user_turns`.
        attacker, judge: `openai:MODEL@URL`, or a model's folder or hub id. `judge` is the judge of harm: a chat model
            is asked under our own rubric; `wildguard`, `harmbench` (each perhaps with :MODEL behind it) and
            `strongreject:MODEL@URL` give their own verdicts.
        attacker_prompt, templates, suffixes: files; see `attacker.attacker_prompt` and `wrappers`.
        n: spellings a goal of best-of-n.
        cluster: the column that tells which rows of a `scripted` file go together.
        limit: at most so many goals of each kind, drawn by the seed; 0 takes all.
    """

    kind: str
    name: str = ""
    goals: str = ""
    attacker: str = ""
    judge: str = ""
    attacker_prompt: str = ""
    templates: str = ""
    suffixes: str = ""
    n: int = 10
    max_turns: int = 10
    max_backtracks: int = 10
    streams: int = 3
    depth: int = 5
    cluster: str = "cluster"
    limit: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ClampdownError(f"no attack is called {self.kind!r}; use one of {', '.join(KINDS)}")
        if self.kind == "scripted" and self.goals in BUILT_IN:
            raise ClampdownError(f"{self.goals} holds requests, not conversations; name a file with user_turns")
        if BUILT_IN.get(self.goals) == "unsafe":
            object.__setattr__(self, "goals", "")
        for key in _NEEDS.get(self.kind, ()):
            if not getattr(self, key):
                raise ClampdownError(f"attack {self.kind} needs {key}; {_REMEDIES[key]}")
        for chat in (self.attacker, self.judge):
            if chat.startswith("openai:"):
                Endpoint.parse(chat)  # a mistyped name shows now, not after the model was loaded
        published_judge(self.judge)
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "AttackSpec":
        """From a table of a study file.

        Raises:
            ClampdownError: an unknown key, one that this kind of attack does not take, or a value of the wrong type.
        """
        known = [f.name for f in fields(cls)]
        if unknown := sorted(set(body) - set(known)):
            raise ClampdownError(f"an attack has no {', '.join(unknown)}; known: {', '.join(known)}")
        for key, value in body.items():
            wanted = type(getattr(cls, key, ""))
            if type(value) is not wanted:
                what = "a whole number" if wanted is int else "a text"
                raise ClampdownError(f"an attack's {key} must be {what}, got {value!r}")
        if "kind" not in body:
            raise ClampdownError(f"an attack needs a kind; use one of {', '.join(KINDS)}")
        takes = (*_ALL_TAKE, *_TAKES.get(body["kind"], known))
        if idle := [key for key in body if key not in takes]:
            raise ClampdownError(f"attack {body['kind']} takes no {', '.join(idle)}; leave it out")
        return cls(**body)

    def load_goals(self) -> list[Goal]:
        """The goals. Raises ClampdownError if their file can't be read."""
        if self.kind == "scripted":
            found = load_scripts(Path(self.goals), cluster=self.cluster)
        else:
            asked = find_set("unsafe", self.goals) if self.goals else builtin_set("unsafe").half("report")
            found = [Goal.of(item) for item in asked.items]
        return sample(found, self.limit or None, self.seed)

    def build(self) -> Attack:
        """The attack, its models loaded. Raises ClampdownError if one, or a file, can't be."""
        judge = _scorer(self.judge) if self.judge else None
        if self.kind == "scripted":
            return Scripted(self.name, judge, self.seed)
        if self.kind == "crescendo":
            turns = (self.max_turns, self.max_backtracks)
            return crescendo.Crescendo(_chat(self.attacker, 1.0), judge, self._prompt(), *turns, self.seed, self.name)
        if self.kind == "pair":
            assert judge is not None
            attacker, size = _chat(self.attacker, 1.0), (self.streams, self.depth)
            return pair.Pair(attacker, judge, self._prompt(), *size, seed=self.seed, name=self.name)
        return self._tries(judge)

    def messages(self) -> int:
        """The most messages that the attack sends for a goal; `scripted` ones play the goal's own.

        Raises:
            ClampdownError: a file of templates or suffixes can't be read, or holds none.
        """
        if self.kind in ("templates", "suffixes"):
            return len(self._texts())
        led = {"crescendo": self.max_turns + self.max_backtracks, "pair": self.streams * self.depth}
        return {**led, "best-of-n": self.n}.get(self.kind, 1)

    def _texts(self) -> Sequence[str]:
        """The templates, or the suffixes."""
        if self.kind == "suffixes":
            return wrappers.load_suffixes(Path(self.suffixes))
        return wrappers.load_templates(Path(self.templates)) if self.templates else wrappers.OWN_TEMPLATES

    def _tries(self, judge: Scorer | None) -> Attack:
        wrapper: wrappers.Wrapper
        if self.kind == "templates":
            wrapper = wrappers.templates(self._texts())
        elif self.kind == "suffixes":
            wrapper = wrappers.suffixes(self._texts())
        elif self.kind == "past-tense":
            wrapper = reworded(_chat(self.attacker, 1.0), seed=self.seed) if self.attacker else past_tense
        else:
            wrapper = best_of_n(self.n)
        return Tries(self.name, wrapper, judge, self.seed)

    def identity(self, goals: Sequence[Goal]) -> dict[str, Any]:
        """All that decides the outcomes besides the target; two attacks are one where these are equal."""
        held = [json.dumps([asdict(goal) for goal in goals]).encode()]
        held += [read_bytes(Path(file).expanduser()) for file in (self.templates, self.suffixes) if file]
        held += [self._prompt().encode()] if self.kind in _OWN else []
        told = {key: value for key, value in asdict(self).items() if key not in _PLACES}
        if judge := published_judge(self.judge):
            told["judge version"] = judge.version
        return told | {"sha256": [hashlib.sha256(one).hexdigest() for one in held]}

    def _prompt(self) -> str:
        return attacker_prompt(self.kind, self.attacker_prompt, _OWN[self.kind])


def _scorer(name: str) -> Scorer:
    judge = published_judge(name)
    return HarmScorer(judge) if judge else ScaleScorer(_chat(name, 0.0))


def _chat(name: str, temperature: float) -> Target:
    """An attacker or a judge: an endpoint, or a model in this process."""
    if name.startswith("openai:"):
        return EndpointTarget(Endpoint.parse(name), _SPEAKS, temperature)
    from clampdown.engine.request import Sampling
    from clampdown.models.chat_model import load_chat_model

    return SteeredTarget(load_chat_model(name), None, Sampling(_SPEAKS, temperature))
