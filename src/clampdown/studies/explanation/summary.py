"""What a survey's measurements come to: correlations and spread in either setting, and what is told of each latent."""

import statistics
from collections.abc import Sequence
from typing import Any

from clampdown.discovery.describe import promoted
from clampdown.models.chat_model import ChatModel
from clampdown.saes.sae import SAE
from clampdown.studies.explanation.activations import Firing
from clampdown.studies.explanation.correlate import correlations, predicted, spread
from clampdown.studies.explanation.draws import Drawn, halves
from clampdown.studies.explanation.predictors import NAMES

Row = dict[str, Any]


def in_setting(name: str, rows: Sequence[Row], some: Sequence[Drawn], seed: int) -> dict[str, Any]:
    """Correlations and spread over the drawn latents in one setting; every row in it is given its "predicted" loss."""
    chance = {one.latent for one in some if one.why == "drawn"}
    here = [row for row in rows if row["setting"] == name and row["latent"] in chance]
    losses = [row["loss"] for row in here]
    by_name = {key: [row["predictors"][key] for row in here] for key in NAMES}
    if name == "equal":
        del by_name["relative"]  # the same for all, but for what a latent is at already
    choosing, reporting = halves([row["latent"] for row in here], seed)
    told = correlations(losses, by_name, choosing, reporting, seed)
    chosen = told["chosen"]
    if chosen is not None:
        known = [by_name[chosen][place] for place in choosing]
        for row in rows:
            if row["setting"] == name and row["predictors"][chosen] is not None:
                row["predicted"] = predicted(row["predictors"][chosen], known, [losses[place] for place in choosing])
    return {
        **told,
        "halves": {"choosing": len(choosing), "reporting": len(reporting)},
        "loss": spread(losses, [row["error"] for row in here]),
        "norm": spread([row["norm"] for row in here]),
    }


def of_directions(rows: Sequence[Row]) -> dict[str, Any]:
    """The loss of random directions, and their mean predictors."""
    here = [row for row in rows if row["setting"] == "random"]
    return {
        "loss": spread([row["loss"] for row in here], [row["error"] for row in here]),
        "predictors": {name: _mean([row["predictors"][name] for row in here]) for name in NAMES},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    kept = [value for value in values if value is not None]
    return statistics.fmean(kept) if kept else None


def described(
    model: ChatModel, sae: SAE, some: Sequence[Drawn], firing: Firing, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """Each latent, what it promotes, and what came of it in either setting, to five digits."""
    measured = {(row["latent"], row["setting"]): row for row in rows}
    kept = [one for one in some if (one.latent, "equal") in measured]
    words = promoted(model, sae, [one.latent for one in kept], 4)
    return [
        {
            "latent": one.latent,
            "why": one.why,
            "rate": _short(float(firing.rate[one.latent])),
            "promotes": promotes,
            **{
                setting: shortened({k: v for k, v in measured[one.latent, setting].items() if k not in _NAMED})
                for setting in ("equal", "natural")
            },
        }
        for one, promotes in zip(kept, words, strict=True)
    ]


_NAMED = ("latent", "setting")


def shortened(body: Any) -> Any:
    """Plain data with its numbers to five digits."""
    if isinstance(body, dict):
        return {key: shortened(value) for key, value in body.items()}
    return _short(body) if isinstance(body, float) else body


def _short(value: float) -> float:
    return float(f"{value:.5g}")
