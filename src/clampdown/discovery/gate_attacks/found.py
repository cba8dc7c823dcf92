"""What got past a gate as rows to fit the next one on, each beside a safe request in the same dress."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from clampdown.discovery.gate_attacks.outcome import GateAttack
from clampdown.measuring.sets.sets import builtin_set

KIND = "gate-attack"


def found_rows(attack: GateAttack, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows as `clampdown gate fit` takes them, for --unsafe and --safe alike, without any answer of the model's.

    Of each attacker and goal every prompt past the gate; behind it, of the same pair, a safe prompt from the selecting
    halves of the built-in sets in the same dress, so that a gate that learns from them does not learn the dress.
    """
    safe = _safe_requests()
    for arm in attack.arms:
        for outcome in arm.outcomes:
            goal = outcome.goal
            draws = random.Random(f"{seed} {arm.name} {goal.id} {goal.text}")
            pair = goal.cluster or goal.id  # with the goal itself, where that is fitted on, too
            for one in outcome.tries:
                if not one.shut:
                    continue
                dress, told = one.passed.dress, {"kind": KIND, "pair": pair, "attacker": arm.name, "goal": goal.id}
                yield {
                    "messages": dress.chat(goal.text), "label": "unsafe", **told, "moves": dress.moves,
                    "score": one.passed.score, "threshold": attack.threshold, "queries": one.passed.queries,
                    "tokens_added": one.tokens, "answer": one.label, "complied": one.complied,
                }  # fmt: skip
                yield {"messages": dress.chat(draws.choice(safe)), "label": "safe", **told, "moves": dress.moves}


def _safe_requests() -> Sequence[str]:
    return [item.text for kind in ("safe", "lookalike") for item in builtin_set(kind).half("select").items]
