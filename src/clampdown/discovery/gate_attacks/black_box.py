"""Attackers who can't look inside: one sees whether the gate opens, the other its score as well."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

from clampdown.discovery.gate_attacks.dress import Dress
from clampdown.discovery.gate_attacks.framings import ENDINGS, FRAMINGS, TURNS
from clampdown.discovery.gate_attacks.lock import Lock, Passed
from clampdown.discovery.gate_attacks.rewordings import SPELLINGS, rewordings

_AT_ONCE = 8
"""Prompts scored together."""
_PARENTS = 4
"""Best dresses so far that are changed further."""
_Slots = dict[str, Sequence[Any]]


class ByDecision:
    """Draws moves, one to three of them, and looks whether the gate opens; it learns nothing from what fails."""

    name = "decision"

    def prompts(self, lock: Lock, rng: random.Random) -> Iterator[Passed]:
        """Dresses under which the gate stays shut, as they are come upon, until the budget is spent."""
        choices, seen = slots(lock.goal), {Dress()}
        while lock.left:
            drawn = _unseen(seen, partial(_changed, [Dress()], choices, rng, 3))
            if not drawn:
                return
            for dress, score, number in lock.scores(drawn):
                if lock.shut(score):
                    yield Passed(dress, score, number)


class ByScore:
    """Changes the dresses with the lowest scores so far, one or two moves at a time."""

    name = "score"

    def prompts(self, lock: Lock, rng: random.Random) -> Iterator[Passed]:
        """Dresses under which the gate stays shut, as they are come upon, until the budget is spent."""
        choices, seen = slots(lock.goal), {Dress()}
        best: list[tuple[float, Dress]] = []
        while lock.left:
            parents = [dress for _, dress in best] or [Dress()]
            drawn = _unseen(seen, partial(_changed, parents, choices, rng))
            told = lock.scores(drawn)
            if not told:
                return
            best = sorted([*best, *((score, dress) for dress, score, _ in told)], key=lambda one: one[0])[:_PARENTS]
            for dress, score, number in told:
                if lock.shut(score):
                    yield Passed(dress, score, number)


def slots(goal: str) -> _Slots:
    """What each field of a dress may hold for this goal, nothing among it."""
    return {
        "rewording": ["", *rewordings(goal)],
        "spelling": ["", *SPELLINGS],
        "framing": [None, *range(len(FRAMINGS))],
        "ending": [None, *range(len(ENDINGS))],
        "turns": ["", *TURNS],
    }


def moves(goal: str) -> _Slots:
    """The same without nothing: what each field of a dress may be changed to."""
    return {name: [one for one in values if one not in ("", None)] for name, values in slots(goal).items()}


def moved(choices: _Slots, rng: random.Random, most: int = 3) -> Dress:
    """A dress of one to so many of these moves."""
    names = rng.sample(list(choices), rng.randint(1, most))
    return Dress(**{name: rng.choice(choices[name]) for name in names})


def _changed(parents: Sequence[Dress], choices: _Slots, rng: random.Random, most: int = 2) -> Dress:
    """One of the dresses with up to so many of its fields drawn anew."""
    names = rng.sample([one.name for one in fields(Dress) if one.name in choices], rng.randint(1, most))
    return replace(rng.choice(parents), **{name: rng.choice(choices[name]) for name in names})


def _unseen(seen: set[Dress], draw: Callable[[], Dress]) -> list[Dress]:
    """Some dresses that were not tried yet, which are seen from now on; none where hardly any are left."""
    found: list[Dress] = []
    for _ in range(20 * _AT_ONCE):
        if len(found) == _AT_ONCE:
            break
        if (dress := draw()) not in seen:
            seen.add(dress)
            found.append(dress)
    return found
