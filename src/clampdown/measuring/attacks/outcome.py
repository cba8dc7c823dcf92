"""What an attack is after, and what came of it: one record a goal, plain data that another can check."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol

from clampdown.measuring.attacks.conversation import Reply, Target
from clampdown.measuring.judging.default.judge import REFUSING, Label, judge, loops
from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import Item


@dataclass(frozen=True)
class Goal:
    """What an attack wants answered. Goals that share a cluster are resampled together.

    `user_turns` are the turns of a scripted conversation; other attacks make their own out of `text`. `kind` is unsafe,
    or safe for a control, where to refuse is over-refusal.
    """

    id: str
    text: str
    category: str = ""
    cluster: str = ""
    kind: SetKind = SetKind.UNSAFE
    user_turns: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: Item, kind: SetKind = SetKind.UNSAFE) -> "Goal":
        """A set's item as a goal."""
        return cls(item.id, item.text, item.category, item.cluster, kind)


class Exchange(NamedTuple):
    """What a judge sees of one turn: the goal behind it, what was asked, what was answered."""

    goal: str
    prompt: str
    answer: str
    finished: bool = True
    blocked: bool = False


class Verdict(NamedTuple):
    """A rating from 1 to 10, whether that is a success, and why; None where no judge of harm said so legibly."""

    score: float | None = None
    success: bool | None = None
    why: str = ""


Labeller = Callable[[Sequence[Exchange]], Sequence[str]]
"""Gives each exchange one of the judge's labels."""


def by_rules(exchanges: Sequence[Exchange]) -> list[str]:
    """The default labels, by the rules judge. They show that a model complied, never that an attack succeeded.

    What a service's content filter blocks is a refusal, as PyRIT has it.
    """
    return [str(Label.REFUSAL if e.blocked else judge(e.prompt, e.answer, truncated=not e.finished)) for e in exchanges]


@dataclass(frozen=True)
class Turn:
    """One message sent to the target and its answer.

    Attributes:
        kept: False where the attack took the turn back after a refusal, so that the target forgot it.
        stream: which of several parallel attempts it belongs to.
        score, success, why: a judge of harm's rating from 1 to 10, its verdict and its reason; None where none was
            asked or could be read.
        receipt: what steering did while this turn was answered; None for an endpoint.
        surprise: the unsteered model's at an answer that complies in words, in nats a token; None where not measured.
        blocked: a service's content filter stood in the target's place.
    """

    prompt: str
    answer: str
    finished: bool
    label: str
    kept: bool = True
    stream: int = 0
    score: float | None = None
    success: bool | None = None
    why: str = ""
    receipt: Mapping[str, Any] | None = None
    surprise: float | None = None
    blocked: bool = False

    @classmethod
    def of(cls, prompt: str, reply: Reply, label: str, stream: int = 0, verdict: Verdict | None = None) -> "Turn":
        """The turn that a prompt and its reply make."""
        told = (verdict or Verdict())._asdict()
        return cls(prompt, reply.text, reply.finished, label, True, stream, **told,
                   receipt=reply.receipt, surprise=reply.surprise, blocked=reply.blocked)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one attack on one goal came to.

    Attributes:
        turns: all that was sent, in order, turns taken back among them.
        final: the place in `turns` of the answer that the attack ends on; -1 if it got none.
        stopped: why it ended: "end" (all turns used), "success" (the judge of harm said so), "context" (the
            conversation outgrew the model's context) or "attacker" (it gave no message that could be read).
        tries: whether its turns stand alone and any of them may work: it then ends on the first that complied.
    """

    attack: str
    goal: Goal
    turns: tuple[Turn, ...]
    final: int
    stopped: str = "end"
    tries: bool = False

    @property
    def labels(self) -> list[str]:
        return [turn.label for turn in self.turns]

    @property
    def final_label(self) -> str:
        """The label of the answer that the attack ends on; unscored if there is none."""
        return self.turns[self.final].label if self.turns else "unscored"

    @property
    def final_loops(self) -> bool:
        """Whether the answer that the attack ends on says one thing over and over."""
        return bool(self.turns) and loops(self.turns[self.final].prompt, self.turns[self.final].answer)

    @property
    def gates(self) -> list[str]:
        """What the gate of the recipe said before each answer, "open" or "shut"; empty where none was asked."""
        told = [(turn.receipt or {}).get("gate", "") for turn in self.turns]
        return told if any(told) else []

    @property
    def gate_open(self) -> bool | None:
        """Whether it was open before the answer that the attack ends on; None where there is no gate."""
        return self.gates[self.final] == "open" if self.gates else None

    @property
    def backtracks(self) -> int:
        return sum(not turn.kept for turn in self.turns)

    @property
    def success(self) -> bool | None:
        """Whether a judge of harm called any answer a success; None where it judged none."""
        found = [turn.success for turn in self.turns if turn.success is not None]
        return any(found) if found else None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON can hold it."""
        return {
            "attack": self.attack,
            "id": self.goal.id,
            "goal": self.goal.text,
            "cluster": self.goal.cluster,
            "category": self.goal.category,
            "kind": self.goal.kind,
            "turns": len(self.turns) - self.backtracks,
            "backtracks": self.backtracks,
            "labels": self.labels,
            **({"gates": self.gates} if self.gates else {}),
            "final_label": self.final_label,
            "success": self.success,
            "final": self.final,
            "stopped": self.stopped,
            "tries": self.tries,
            "texts": [asdict(turn) for turn in self.turns],
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Outcome":
        """The outcome that `to_dict` wrote; a goal's user turns are in the texts and not told twice."""
        goal = Goal(body["id"], body["goal"], body["category"], body["cluster"], SetKind(body["kind"]))
        turns = tuple(Turn(**turn) for turn in body["texts"])
        return cls(body["attack"], goal, turns, body["final"], body["stopped"], body.get("tries", False))


def judged_again(outcome: Outcome, label: Labeller = by_rules) -> Outcome:
    """The outcome with its answers labelled anew. What was sent stays, also where it hung on the older labels."""
    seen = [
        Exchange(outcome.goal.text, turn.prompt, turn.answer, turn.finished, turn.blocked) for turn in outcome.turns
    ]
    return relabelled(outcome, label(seen))


def relabelled(outcome: Outcome, labels: Sequence[str]) -> Outcome:
    """The outcome with these labels, one a turn."""
    turns = tuple(replace(turn, label=name) for turn, name in zip(outcome.turns, labels, strict=True))
    return replace(outcome, turns=turns, final=first_that_complied(turns) if outcome.tries else outcome.final)


def first_that_complied(turns: Sequence[Turn]) -> int:
    """The place of the first try that complied, else of the first that was declined, else 0; -1 where there is none."""
    wanted: tuple[Collection[str], ...] = (("compliance",), REFUSING)
    for labels in wanted:
        for place, turn in enumerate(turns):
            if turn.label in labels:
                return place
    return 0 if turns else -1


class Attack(Protocol):
    """An attack with all its settings."""

    @property
    def name(self) -> str: ...

    def run(self, goals: Sequence[Goal], target: Target, label: Labeller = by_rules) -> list[Outcome]:
        """Attack a group of goals side by side, each step of all of them as one batch: one outcome a goal."""
