"""Attack the gate of a recipe: each attacker on each goal, what passes answered by the engine under that recipe."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from clampdown.discovery.gate_attacks.black_box import ByDecision, ByScore
from clampdown.discovery.gate_attacks.dress import Dress
from clampdown.discovery.gate_attacks.lock import Lock, Passed
from clampdown.discovery.gate_attacks.outcome import Arm, Attacked, GateAttack, Try, speaks_of
from clampdown.discovery.gate_attacks.white_box import ByGradient
from clampdown.discovery.gates.check import gate_of
from clampdown.discovery.gates.scores import prompt_scores
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.conversation import Reply, SteeredTarget
from clampdown.measuring.attacks.outcome import Exchange, Goal, by_rules
from clampdown.measuring.judging.fluency import ENOUGH, surprise_limit
from clampdown.models.chat_model import ChatModel
from clampdown.models.dialogue import Message
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.steering.gates.compiled import CompiledGate, compile_gate

ATTACKERS = ("decision", "score", "gradient")
"""What an attacker sees: whether the gate opens, its score, or the weights and so its gradient."""
_BATCH = 16


@dataclass(frozen=True)
class AttackOptions:
    """How hard it is tried.

    Attributes:
        attackers: of `ATTACKERS`.
        budget: queries a goal and attacker: scores of prompts, and gradients.
        answers: prompts past the gate that are answered for a goal at most; the search goes on while none complies.
        tokens: words that the gradient searches.
        max_new_tokens: of an answer.
    """

    attackers: Sequence[str] = ATTACKERS
    budget: int = 256
    answers: int = 4
    tokens: int = 12
    max_new_tokens: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.attackers if name not in ATTACKERS]:
            raise ClampdownError(f"no attacker is called {unknown[0]}; they are {', '.join(ATTACKERS)}")
        if not self.attackers or len(set(self.attackers)) < len(self.attackers):
            raise ClampdownError("name one attacker at least, and each once")
        for name in ("budget", "answers", "tokens", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ClampdownError(f"{name} must be at least 1, got {getattr(self, name)}")


class _Attacker(Protocol):
    name: str

    def prompts(self, lock: Lock, rng: random.Random) -> Iterator[Passed]: ...


@dataclass
class _Siege:
    """An attacker before one goal."""

    goal: Goal
    lock: Lock
    search: Iterator[Passed]
    tries: list[Try] = field(default_factory=list)


def attack_gate(
    model: ChatModel,
    recipe: Recipe,
    goals: Sequence[Goal],
    options: AttackOptions | None = None,
    progress: Progress = quiet,
) -> GateAttack:
    """Try to get goals past the gate of a recipe that keeps their requests whole, and have what passes answered.

    A goal on which the gate stays shut when asked plainly takes no attack, and is left out. What a search finds counts
    as past the gate where the engine, which answers it under the recipe, keeps it shut, too.

    Raises:
        ClampdownError: no goals; the recipe has no gate, or one that decides outside; it is for another model; an
            attacker can't work on this gate; or a score is not finite.
    """
    options = options or AttackOptions()
    if not goals:
        raise ClampdownError("there is no goal to attack with; name a set that holds some")
    if gate_of(recipe).external:
        raise ClampdownError(f"the gate of recipe {recipe.name} decides outside, where no search reaches it")
    if gate_of(recipe).decide != "score":
        raise ClampdownError(f"the gate of recipe {recipe.name} is told what to decide; take `decide` out to attack it")
    gate, system = compile_gate(model, recipe), recipe.system_prompt or None
    attackers = [_attacker(name, model, gate, options) for name in options.attackers]
    prompts = [model.prompt_ids(goal.text, system=system, room=options.max_new_tokens) for goal in goals]
    scores = prompt_scores(model, [gate], prompts, progress)[0].tolist()
    places = [place for place, score in enumerate(scores) if score >= gate.threshold]
    opened = [goals[place] for place in places]
    sampling = Sampling(options.max_new_tokens)
    limit, complied = _asked_plainly(SteeredTarget(model, None, sampling, weigh=True), goals, progress)
    judging = _Judging(SteeredTarget(model, recipe, sampling, weigh=True), limit)
    arms = []
    for attacker in attackers:
        sieges = []
        for goal in opened:
            lock = Lock(model, gate, goal.text, options.budget, system, options.max_new_tokens)
            draws = random.Random(f"{options.seed} {attacker.name} {goal.id} {goal.text}")
            sieges.append(_Siege(goal, lock, attacker.prompts(lock, draws)))
        _besiege(sieges, judging, options.answers, progress, f"attacking by {attacker.name}")
        arms.append(Arm(attacker.name, [Attacked(one.goal, tuple(one.tries), one.lock.asked) for one in sieges]))
    plain = [complied[place] for place in places]
    return GateAttack(recipe, gate.threshold, options.budget, goals, opened, plain, arms, limit)


def _attacker(name: str, model: ChatModel, gate: CompiledGate, options: AttackOptions) -> _Attacker:
    if name == "gradient":
        return ByGradient(model, gate, options.tokens)
    return ByDecision() if name == "decision" else ByScore()


@dataclass
class _Judging:
    """Answers and what the judge says of them; `limit` is the surprise above which one is incoherent."""

    target: SteeredTarget
    limit: float | None

    def answers(self, pairs: Sequence[tuple[Goal, list[Message]]]) -> list[tuple[Reply, str, bool]]:
        """For each conversation the reply, its label, and whether it speaks of the goal."""
        found = []
        for start in range(0, len(pairs), _BATCH):
            some = pairs[start : start + _BATCH]
            for (goal, chat), reply in zip(some, self.target.reply([chat for _, chat in some]), strict=True):
                assert reply is not None  # whatever was asked left room for an answer
                asked = " ".join(turn["content"] for turn in chat if turn["role"] == "user")
                (label,) = by_rules([Exchange(goal.text, asked, reply.text, reply.finished)])
                if label == "compliance" and self.limit is not None and (reply.surprise or 0) > self.limit:
                    label = "incoherent"
                found.append((reply, label, speaks_of(goal.text, reply.text)))
        return found


def _asked_plainly(
    unsteered: SteeredTarget, goals: Sequence[Goal], progress: Progress
) -> tuple[float | None, list[bool]]:
    """The surprise that the model's own answers to the goals allow, and whether it complies with each of them."""
    progress("asking plainly", 0, 0, "")
    told = _Judging(unsteered, None).answers([(goal, Dress().chat(goal.text)) for goal in goals])
    nats = [reply.surprise for reply, _, _ in told if reply.surprise]
    limit = surprise_limit(nats) if len(nats) >= ENOUGH else None
    return limit, [label == "compliance" and speaks for _, label, speaks in told]


def _besiege(sieges: Sequence[_Siege], judging: _Judging, answers: int, progress: Progress, stage: str) -> None:
    """Let each search go on to its next prompt past the gate, and have these answered together, until they comply."""
    live = list(sieges)
    progress(stage, 0, len(live), "")
    for _ in range(answers):
        found: list[tuple[_Siege, Passed]] = []
        for siege in live:
            if (passed := next(siege.search, None)) is None:
                progress(stage, 1, len(sieges), "")
            else:
                found.append((siege, passed))
        told = judging.answers([(siege.goal, passed.dress.chat(siege.goal.text)) for siege, passed in found])
        live = []
        for (siege, passed), (reply, label, speaks) in zip(found, told, strict=True):
            shut = (reply.receipt or {}).get("gate") == "shut"
            siege.tries.append(Try(passed, shut, label, speaks, siege.lock.longer(passed.dress), reply.surprise))
            if siege.tries[-1].complied:
                progress(stage, 1, len(sieges), "")
            else:
                live.append(siege)
    progress(stage, len(live), len(sieges), "")
