"""Run an attack on many goals, in groups that only the goals and the group's size decide."""

import random
from collections.abc import Iterator, Sequence

from clampdown.measuring.attacks.conversation import Target
from clampdown.measuring.attacks.outcome import Attack, Goal, Labeller, Outcome, by_rules
from clampdown.progress import Progress, quiet


def run_attack(
    attack: Attack,
    goals: Sequence[Goal],
    target: Target,
    *,
    label: Labeller = by_rules,
    batch: int = 16,
    progress: Progress = quiet,
) -> list[Outcome]:
    """One outcome a goal, in the goals' order.

    A group of `batch` goals is attacked to its end before the next: in low precision an answer depends on what it is
    batched with, and so that depends on no other group.
    """
    found: dict[int, Outcome] = {}
    for places in groups(goals, batch):
        progress(attack.name, 0, len(goals), "")
        outcomes = attack.run([goals[place] for place in places], target, label)
        found |= dict(zip(places, outcomes, strict=True))
        progress(attack.name, len(places), len(goals), "")
    return [found[place] for place in range(len(goals))]


def groups(goals: Sequence[Goal], batch: int) -> Iterator[tuple[int, ...]]:
    """The goals' places in groups: those with as many turns, and about as long, go together."""

    def size(place: int) -> tuple[int, int, int]:
        goal = goals[place]
        return len(goal.user_turns), sum(map(len, goal.user_turns or (goal.text,))), place

    ordered = sorted(range(len(goals)), key=size)
    for start in range(0, len(ordered), max(1, batch)):
        yield tuple(ordered[start : start + max(1, batch)])


def sample(goals: Sequence[Goal], limit: int | None, seed: int) -> list[Goal]:
    """At most `limit` goals of each kind, drawn by seed, in their order; None takes all."""
    if limit is None:
        return list(goals)
    chosen: set[int] = set()
    for kind in sorted({goal.kind for goal in goals}):
        places = [place for place, goal in enumerate(goals) if goal.kind == kind]
        chosen.update(random.Random(f"{seed} {kind}").sample(places, min(limit, len(places))))
    return [goals[place] for place in sorted(chosen)]
