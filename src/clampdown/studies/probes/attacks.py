"""An attack as a column of a study: its goals as a set, its outcomes as rows."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clampdown.measuring.attacks.behind_gate import BehindGate
from clampdown.measuring.attacks.conversation import SteeredTarget, Target
from clampdown.measuring.attacks.outcome import Attack, Goal, Outcome
from clampdown.measuring.attacks.run import groups
from clampdown.measuring.attacks.spec import AttackSpec
from clampdown.measuring.judging.default.judge import JUDGE_VERSION
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.steering.receipt import Receipt, joined
from clampdown.studies.plan import Plan
from clampdown.studies.probes.base import Asked, by_draw
from clampdown.studies.store import Row

if TYPE_CHECKING:
    from clampdown.engine.request import Sampling
    from clampdown.recipe import Recipe
    from clampdown.studies.arms import Arm

KINDS = {SetKind.UNSAFE: SetKind.ATTACK, SetKind.SAFE: SetKind.ATTACK_SAFE}
"""The kind of set that goals of each kind make; to refuse `attack-safe` is over-refusal."""
_LED = ("scripted", "crescendo")
"""Attacks that are one conversation, so that each message reads all that came before."""
_APART = 10_000
"""Seeds of successive samples lie this far apart: an attack counts on from each."""


@dataclass(frozen=True)
class Building:
    """Makes an attack when it is first wanted, once for all columns that share this; pickled, it is yet to be made."""

    spec: AttackSpec

    @cached_property
    def attack(self) -> Attack:
        return self.spec.build()

    def __getstate__(self) -> dict[str, Any]:
        return {"spec": self.spec}


@dataclass(frozen=True)
class AttackColumn:
    """An attack's goals of one kind, as a set whose items stand in the goals' order."""

    spec: AttackSpec
    goals: tuple[Goal, ...]
    item_set: ItemSet
    messages: int
    building: Building
    yes_or_no: bool = True
    sweeps: bool = False

    def chunks(self, draws: int, plan: Plan) -> Iterator[tuple[int, ...]]:
        """Batches of one draw each: its recipe steers every turn. Goals with as many turns go together."""
        for mine in by_draw(range(len(self.goals)), draws):
            for group in groups([self.goals[place] for place in mine], plan.batch):
                yield tuple(mine[i] for i in group)

    def work(self, place: int, plan: Plan) -> Mapping[str, int]:
        """Messages, tokens generated in answer and read; what an attacker or a judge does is not counted."""
        goal = self.goals[place]
        told = [len(turn) // 4 for turn in goal.user_turns or [goal.text] * self.messages]
        read = sum(told)
        if self.spec.kind in _LED:
            read = sum(sum(told[: n + 1]) + n * plan.max_new_tokens for n in range(len(told)))
        many = {"answers": len(told), "tokens_generated": len(told) * plan.max_new_tokens, "tokens_read": read}
        return {key: plan.samples * value for key, value in many.items()}

    def run(self, asked: Asked, arms: "Sequence[Arm]") -> list[list[Row]]:
        """The goals attacked side by side, with the same seeds under every arm."""
        from clampdown.engine.request import Sampling

        plan, places = asked.plan, asked.places
        sampling = Sampling(plan.max_new_tokens, plan.temperature, plan.seed + _APART * asked.sample)
        found = []
        for arm in arms:
            target = _target(asked, arm, arm.recipe_for(places[0]), sampling)
            outcomes = self.building.attack.run([self.goals[place] for place in places], target)
            draw = places[0] % len(arm.recipes)
            found.append([_row(place, draw, outcome) for place, outcome in zip(places, outcomes, strict=True)])
        return found


def _target(asked: Asked, arm: "Arm", recipe: "Recipe | None", sampling: "Sampling") -> Target:
    from clampdown.studies.arms import FIXED_REFUSAL

    if not arm.instead or recipe is None:
        return SteeredTarget(asked.model, recipe, sampling, weigh=True, outside=asked.outside, engine=asked.engine)
    sentence = FIXED_REFUSAL if arm.instead == "fixed-refusal" else ""
    return BehindGate(asked.model, recipe, sampling, sentence, weigh=True, outside=asked.outside, engine=asked.engine)


def attack_columns(spec: AttackSpec) -> list[AttackColumn]:
    """The columns that one attack makes: one, or two where its file holds safe conversations too.

    Its models are not loaded yet. Raises ClampdownError if a file of its can't be read.
    """
    goals, building, messages = spec.load_goals(), Building(spec), spec.messages()
    found = []
    for kind, name in KINDS.items():
        mine = tuple(goal for goal in goals if goal.kind == kind)
        if mine:
            identity = json.dumps(spec.identity(mine), sort_keys=True).encode()
            items = tuple(Item(g.id, g.text, g.category, g.cluster or g.id) for g in mine)
            title = spec.name if kind is SetKind.UNSAFE else f"{spec.name}, benign"
            split = "all" if spec.goals else "report"  # of the built-in goals, latents were chosen on the other half
            item_set = ItemSet(title, name, _told(spec), hashlib.sha256(identity).hexdigest(), items, split)
            found.append(AttackColumn(spec, mine, item_set, messages, building))
    return found


def receipt(outcome: Outcome) -> dict[str, Any] | None:
    """One receipt for all turns of a conversation; None where none has one."""
    taken = [Receipt(**turn.receipt) for turn in outcome.turns if turn.receipt]
    return joined(taken).to_dict() if taken else None


def _row(place: int, draw: int, outcome: Outcome) -> Row:
    last = outcome.turns[outcome.final] if outcome.turns else None
    return Row(
        place,
        outcome.goal.id,
        draw,
        outcome.goal.text,
        text=last.answer if last else "",
        finished=bool(last and last.finished),
        label=outcome.final_label,
        judge=JUDGE_VERSION,
        receipt=receipt(outcome),
        attack=outcome.to_dict(),
        looping=outcome.final_loops,
    )


def _told(spec: AttackSpec) -> str:
    """Where the goals come from, and who attacks and judges: what a report says of a set."""
    said = [f"{spec.kind}, goals from {spec.goals or 'clampdown:unsafe.jsonl'}"]
    said += [f"attacker {spec.attacker}"] if spec.attacker else []
    return ", ".join([*said, f"judge of harm {spec.judge}"] if spec.judge else [*said, "no judge of harm"])
