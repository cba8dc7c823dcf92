"""Scripted conversations: the gate decides before each turn, on all that was said; the model's own answers between."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figures import digits

from clampdown.engine.request import Sampling
from clampdown.measuring.attacks.behind_gate import BehindGate
from clampdown.measuring.attacks.conversation import Reply, SteeredTarget, Target
from clampdown.measuring.attacks.outcome import Goal, Outcome
from clampdown.measuring.attacks.run import run_attack, sample
from clampdown.measuring.attacks.scripted import Scripted, load_scripts
from clampdown.measuring.endpoint.client import Chat
from clampdown.measuring.judging.default.judge import REFUSING, loops
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.studies.arms import FIXED_REFUSAL

BATCH = 40


def conversations(data: Path, limit: int, seed: int) -> dict[str, Callable[[], list[Goal]]]:
    """Attacks, their benign twins, and ordinary talk. ActorAttack's conversations about one actor are a cluster."""
    actors, twins = "safemtdata_actorattack_userturns", "fractured_sorry_bench_userturns"

    def some(name: str, kind: str, cluster: str = "cluster") -> list[Goal]:
        goals = load_scripts(data / f"multiturn/{name}.jsonl", kind=kind, cluster=cluster)
        return sample([goal for goal in goals if goal.kind == kind], limit, seed)

    return {
        "actorattack": lambda: some(actors, "unsafe", "category"),
        "fractured-unsafe": lambda: some(twins, "unsafe"),
        "fractured-benign": lambda: some(twins, "safe"),
        "mt-bench": lambda: some("mt_bench", "safe"),
    }


@dataclass
class Watched:
    """The model alone, its recipe's gate watching; what it answered to each conversation is kept."""

    target: Target
    said: dict[str, Reply] = field(default_factory=dict)

    def reply(self, chats: Sequence[Chat], *, seed: int = 0) -> list[Reply | None]:
        found = self.target.reply(chats, seed=seed)
        self.said |= {json.dumps(chat): reply for chat, reply in zip(chats, found, strict=True) if reply is not None}
        return found


@dataclass
class Behind:
    """An arm behind the gate. Where this was shut for the very same conversation, the answer is the model's own."""

    target: Target
    watched: Watched

    def reply(self, chats: Sequence[Chat], *, seed: int = 0) -> list[Reply | None]:
        known = [self.watched.said.get(json.dumps(chat)) for chat in chats]
        shut = [reply if reply and (reply.receipt or {}).get("gate") == "shut" else None for reply in known]
        asked = [chat for chat, reply in zip(chats, shut, strict=True) if reply is None]
        told = iter(self.target.reply(asked, seed=seed) if asked else [])
        return [next(told) if reply is None else reply for reply in shut]


def measured(model: ChatModel, recipe: Recipe, goals: Sequence[Goal], tokens: int) -> dict[str, Any]:
    """The row's record: of each conversation what was refused, and when the gate was open, under each arm."""
    hits: dict[str, str] = {}
    for arm, target in targets(model, recipe, tokens).items():
        outcomes = run_attack(Scripted(), goals, target, batch=BATCH)
        for name, reading in READINGS.items():
            hits[f"{arm}: {name}"] = digits([reading(outcome) for outcome in outcomes])
    told = {"kind": "conversations", "unsafe": goals[0].kind == "unsafe", "n": len(goals), "hits": hits}
    return told | {"turns": sum(len(g.user_turns) for g in goals), "clusters": [g.cluster for g in goals]}


def targets(model: ChatModel, recipe: Recipe, tokens: int) -> dict[str, Target]:
    """The model alone, and behind one gate the clamp and a fixed sentence; to be played in this order."""
    sampling = Sampling(tokens)
    watched = Watched(SteeredTarget(model, recipe.deciding("watch"), sampling))
    clamp, fixed = SteeredTarget(model, recipe, sampling), BehindGate(model, recipe, sampling, FIXED_REFUSAL)
    return {"none": watched, "edit": Behind(clamp, watched), "fixed sentence": Behind(fixed, watched)}


def declined(outcome: Outcome) -> list[bool]:
    """Of each turn, whether it was declined without looping."""
    return [turn.label in REFUSING and not loops(turn.prompt, turn.answer) for turn in outcome.turns]


READINGS: dict[str, Callable[[Outcome], bool]] = {
    "refused at the last turn": lambda outcome: bool(outcome.turns) and declined(outcome)[-1],
    "refused by the last turn": lambda outcome: any(declined(outcome)),
    "open at the last turn": lambda outcome: outcome.gates[-1:] == ["open"],
    "ever open": lambda outcome: "open" in outcome.gates,
}
