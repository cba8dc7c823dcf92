"""How far a judge agrees with people: agreement, Cohen's kappa and a confusion table, with intervals."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clampdown.measuring.judging.default.judge import REFUSING, Label
from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.measuring.statistics.rates import Interval, cluster_totals

Floats = NDArray[np.float64]
_DRAWS, _SEED = 2000, 0


class Agreement(NamedTuple):
    """Both sides folded to refusing (full, partial; the judge's moralising too) against not; unscored rows left out.

    confusion: {human label: {judge's label: rows}}, all rows.
    prompts: how many different ones the scored rows have, of which the intervals take account; None where not told.
    """

    n: int
    unscored: int
    agreement: Interval
    kappa: Interval
    confusion: dict[str, dict[str, int]]
    prompts: int | None = None


def agreement(human: Sequence[str], judged: Sequence[Label], prompts: Sequence[str] | None = None) -> Agreement:
    """human: XSTest's labels, 1_full_compliance, 2_full_refusal or 3_partial_refusal; judged: one label a row.

    The interval of the agreement is Wilson's; kappa's is a bootstrap (2,000 draws, seed 0). Rows that share a prompt
    count as one cluster in both; without `prompts`, each row stands alone.
    """
    asked = range(len(human)) if prompts is None else prompts
    table = Counter((person, str(label)) for person, label in zip(human, judged, strict=True))
    scored = [row for row in zip(human, judged, asked, strict=True) if row[1] is not Label.UNSCORED]
    people = np.array([not h.startswith("1") for h, _, _ in scored], bool)
    judge = np.array([label in REFUSING for _, label, _ in scored], bool)
    clusters = [prompt for _, _, prompt in scored]
    confusion = {h: {str(label): table[h, str(label)] for label in Label} for h in sorted(set(human))}
    told, unscored = clustered_rate(people == judge, clusters), len(human) - len(scored)
    different = None if prompts is None else len(set(clusters))
    return Agreement(len(human), unscored, told, _kappa_interval(people, judge, clusters), confusion, different)


def kappa(seen: Floats, p: Floats, q: Floats) -> Floats:
    """Agreement beyond chance (Cohen, Educ. Psychol. Meas. 20, 1960); nan where chance alone makes all agree.

    seen: how often the two agree; p, q: how often each says yes; all of one shape.
    """
    chance = p * q + (1 - p) * (1 - q)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance == 1, np.nan, (seen - chance) / (1 - chance))


def _kappa_interval(people: NDArray[np.bool_], judge: NDArray[np.bool_], clusters: Sequence[Hashable]) -> Interval:
    if len(people) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    counted = [cluster_totals(hits.astype(float), clusters) for hits in (people == judge, people, judge)]
    sums, sizes = np.stack([total for total, _ in counted]), counted[0][1]  # [agree, people, judge][cluster], [cluster]
    k = len(sizes)
    value = float(kappa(*(sums.sum(-1) / sizes.sum())))
    if k == 1:  # it could only be drawn as itself
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(_SEED)
    draws = []
    for _ in range(0, _DRAWS, 100):  # a hundred at a time, so that memory stays small
        drawn = rng.integers(0, k, size=(100, k))
        draws.append(kappa(*(sums[:, drawn].sum(-1) / sizes[drawn].sum(-1))))
    told = np.concatenate(draws)
    told = told[~np.isnan(told)]
    if not len(told):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(told, [0.025, 0.975])
    return Interval(value, float(low), float(high))
