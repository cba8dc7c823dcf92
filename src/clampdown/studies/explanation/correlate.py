"""How well predictors rank measured losses: one is chosen on half of the latents, and reported on the other half."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clampdown.measuring.statistics.rank_correlation import spearman, spearman_interval
from clampdown.measuring.statistics.rates import Interval

_NEAREST = 5
Values = Mapping[str, Sequence[float | None]]


def correlations(
    losses: Sequence[float], predictors: Values, choosing: Sequence[int], reporting: Sequence[int], seed: int
) -> dict[str, Any]:
    """The chosen predictor, and all of them on the reporting half.

    Of each predictor more should mean a greater loss, so the one with the greatest ρ on the choosing half is taken.

    Returns:
        {"chosen", "correlation": {"value", "low", "high", "n"}, "predictors": {name: {"value", "low", "high", "n",
        "choosing": ρ on the choosing half}}}; values are null of a predictor that has one value only, or that could not
        be measured.
    """
    told: dict[str, Any] = {}
    for name, values in predictors.items():
        first, second = (_pairs(values, losses, places) for places in (choosing, reporting))
        rho = _known(spearman(*first)) if first else None
        interval = spearman_interval(*second, seed=seed) if second else Interval(math.nan, math.nan, math.nan)
        bounds = {key: _known(value) for key, value in interval._asdict().items()}
        told[name] = {**bounds, "n": len(second[0]) if second else 0, "choosing": rho}
    ranked = [name for name in told if told[name]["choosing"] is not None]
    chosen = max(ranked, key=lambda name: told[name]["choosing"], default=None)
    own = None if chosen is None else {key: told[chosen][key] for key in ("value", "low", "high", "n")}
    return {"chosen": chosen, "correlation": own, "predictors": told}


def predicted(value: float, known: Sequence[float], losses: Sequence[float]) -> float:
    """The mean loss of the few latents whose predictor is nearest to a value."""
    order = sorted(range(len(known)), key=lambda place: abs(known[place] - value))[:_NEAREST]
    return sum(losses[place] for place in order) / len(order)


def _pairs(
    values: Sequence[float | None], losses: Sequence[float], places: Sequence[int]
) -> tuple[list[float], list[float]] | None:
    pairs = [(value, losses[place]) for place in places if (value := values[place]) is not None]
    return ([a for a, _ in pairs], [b for _, b in pairs]) if pairs else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def spread(values: Sequence[float], errors: Sequence[float] = ()) -> dict[str, Any]:
    """Mean and standard deviation, and that left when the items' own noise (standard errors) is taken out."""
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / max(1, n - 1)
    noise = sum(error**2 for error in errors) / n if errors else 0.0
    return {"n": n, "mean": mean, "sd": math.sqrt(variance), "sd_beyond_noise": math.sqrt(max(0.0, variance - noise))}
