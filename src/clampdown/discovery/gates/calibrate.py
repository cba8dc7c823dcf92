"""The threshold: the lowest that lets through no more safe prompts than one says, by what held-out ones show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clampdown.errors import ClampdownError
from clampdown.measuring.statistics.ranking import least_n, rate_bound


@dataclass(frozen=True)
class Calibration:
    """A threshold, and what it rests on.

    Attributes:
        passed, n: how many of how many safe prompts it lets through.
        bound: the rate that is not exceeded: the upper end of the exact one-sided 95% interval, or what conformal
            prediction warrants on average over calibration sets.
        rule: "exact" or "conformal".
    """

    threshold: float
    passed: int
    n: int
    bound: float
    rule: str

    def __str__(self) -> str:
        how = "at 95% confidence" if self.rule == "exact" else "on average (conformal)"
        return f"{self.passed} of {self.n} safe prompts open it; at most {self.bound:.2%} do, {how}"


def calibrated(scores: Sequence[float], rate: float, *, conformal: bool = False) -> Calibration:
    """The lowest threshold whose false-positive rate is at most `rate`, shown by the scores of safe prompts.

    Exact: the Clopper-Pearson bound of the rate among n prompts like these is at most `rate`. Conformal: the next such
    prompt opens the gate with a chance of at most `rate`, before these were drawn; that takes fewer of them.

    Raises:
        ClampdownError: they are too few.
    """
    n = len(scores)
    if not shows(n, rate, conformal=conformal):
        need = math.ceil(1 / rate) - 1 if conformal else least_n(rate)
        easier = "" if conformal else ", or --conformal, which holds on average only"
        raise ClampdownError(
            f"{n} safe prompts can't show that at most {rate:.2%} of them open the gate: that takes {need}; add --safe "
            f"prompts, name more kinds with --calibrate, or raise --false-positives{easier}"
        )
    ranked = sorted(scores, reverse=True)
    passing = 0
    while passing < n and _bound(passing + 1, n, conformal) <= rate:
        passing += 1
    threshold = math.nextafter(ranked[passing], math.inf) if passing < n else ranked[-1]
    passed = sum(score >= threshold for score in scores)  # of ties, none
    return Calibration(threshold, passed, n, _bound(passed, n, conformal), "conformal" if conformal else "exact")


def shows(n: int, rate: float, *, conformal: bool = False) -> bool:
    """Whether so many safe prompts can show that at most `rate` of them open a gate."""
    return n >= (math.ceil(1 / rate) - 1 if conformal else least_n(rate))


def _bound(passed: int, n: int, conformal: bool) -> float:
    return (passed + 1) / (n + 1) if conformal else rate_bound(passed, n)
