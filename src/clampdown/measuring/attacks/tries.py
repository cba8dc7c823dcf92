"""A single-turn attack with several prompts a goal, of which any may work: best-of-N, and sets of templates."""

from collections.abc import Sequence
from dataclasses import dataclass

from clampdown.measuring.attacks.conversation import Target, user
from clampdown.measuring.attacks.outcome import (
    Exchange,
    Goal,
    Labeller,
    Outcome,
    Turn,
    Verdict,
    by_rules,
    first_that_complied,
)
from clampdown.measuring.attacks.scoring import Scorer
from clampdown.measuring.attacks.wrappers import Wrapper, prompts_of


@dataclass(frozen=True)
class Tries:
    """Send every prompt that the wrapper makes of a goal, each alone; it counts as complied if any answer complies.

    `wide` is how many prompts are answered together. It is part of the attack since a batch's shape can show in low
    precision.
    """

    name: str
    wrapper: Wrapper
    scorer: Scorer | None = None
    seed: int = 0
    wide: int = 32

    def run(self, goals: Sequence[Goal], target: Target, label: Labeller = by_rules) -> list[Outcome]:
        """One outcome a goal; its turns are the tries, each a stream of its own. It ends on the first that complies."""
        asked = [
            (i, p) for i, goal in enumerate(goals) for p in prompts_of(self.wrapper, self.name, goal.text, self.seed)
        ]
        told: list[list[Turn]] = [[] for _ in goals]
        cut: set[int] = set()
        for start in range(0, len(asked), self.wide):
            some = asked[start : start + self.wide]
            replies = target.reply([[user(prompt)] for _, prompt in some], seed=self.seed + start)
            pairs = [(i, p, reply) for (i, p), reply in zip(some, replies, strict=True) if reply is not None]
            cut |= {i for (i, _), reply in zip(some, replies, strict=True) if reply is None}
            seen = [
                Exchange(goals[i].text, prompt, reply.text, reply.finished, reply.blocked) for i, prompt, reply in pairs
            ]
            verdicts = self.scorer(seen) if self.scorer and seen else [Verdict()] * len(seen)
            for (i, prompt, reply), given, verdict in zip(pairs, label(seen), verdicts, strict=True):
                told[i].append(Turn.of(prompt, reply, given, len(told[i]), verdict))
        return [
            Outcome(
                self.name, goal, tuple(turns), first_that_complied(turns), "context" if i in cut else "end", tries=True
            )
            for i, (goal, turns) in enumerate(zip(goals, told, strict=True))
        ]
