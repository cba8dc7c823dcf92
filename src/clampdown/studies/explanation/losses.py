"""What recipes do to ordinary questions and passages, beside no steering: measured for all of them together.

Of a question the margin is asked: the right choice's log-probability less that of the likeliest wrong one, in nats, of
whole choices. It falls before an answer changes, so it tells small losses apart. Which choice is taken for the answer
is decided as studies do, per character. Of a passage the divergence KL(unsteered ‖ steered) of the next token is
asked at every place, and the text's own log-likelihood.
"""

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.engine.finite import NOT_FINITE
from clampdown.engine.scoring import sweep_loglikelihood
from clampdown.engine.sharing import Sweep
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.receipt import Receipt, joined
from clampdown.studies.explanation.from_last import FromLast, begins_late
from clampdown.studies.explanation.inputs import Material

_TOGETHER = 24
"""Recipes that share one run of the blocks under the edit."""
_ROWS = 64
_VALUES = 2**25
"""Logits held at a time for each recipe."""


class Outcome(NamedTuple):
    """What was measured under one recipe.

    Attributes:
        margins: of each question, nats.
        right: whether each question was answered right.
        kl: KL(unsteered ‖ steered), the sum over each passage, nats.
        nats: each passage's negative log-likelihood.
        receipt: of all questions together.
        text_edited: tokens of the passages that were edited.
    """

    margins: list[float]
    right: list[bool]
    kl: list[float]
    nats: list[float]
    receipt: Receipt
    text_edited: int = 0


def outcomes(
    model: ChatModel,
    recipes: Sequence[Recipe],
    material: Material,
    *,
    saes: Sequence[SAE] = (),
    progress: Progress = quiet,
    stage: str = "measuring",
) -> tuple[Outcome, list[Outcome]]:
    """Without steering, and under each recipe.

    saes: used by name before any is loaded.

    Raises:
        ClampdownError: a recipe that does not fit the model, or logits that are not finite.
    """
    plain: Outcome | None = None
    found: list[Outcome] = []
    layer = min(edit.layer for recipe in recipes for edit in recipe.edits)
    late = FromLast(model, layer, material, saes) if begins_late(model, recipes, material) else None
    for start in range(0, len(recipes), _TOGETHER):
        some = list(recipes[start : start + _TOGETHER])
        asked = [None, *some] if plain is None else some
        scored = _swept(model, asked, material, saes) if late is None else [late.under(recipe) for recipe in asked]
        progress(stage, len(some), 2 * len(recipes), "questions")
        texts = _passages(model, some, material, saes)
        if plain is not None:
            texts = texts[1:]
        progress(stage, len(some), 2 * len(recipes), "plain text")
        told = [
            Outcome(*_answers(material, scores), kl, nats, receipt, edited)
            for (scores, receipt), (kl, nats, edited) in zip(scored, texts, strict=True)
        ]
        if plain is None:
            plain, *told = told
        found += told
    assert plain is not None
    return plain, found


def margin(scores: Sequence[float], answer: int) -> float:
    """The right choice's log-probability less the likeliest wrong one's."""
    return scores[answer] - max(score for place, score in enumerate(scores) if place != answer)


def _swept(
    model: ChatModel, recipes: Sequence[Recipe | None], material: Material, saes: Sequence[SAE]
) -> list[tuple[list[list[float]], Receipt]]:
    """For each recipe every question's choices' log-probabilities, and one receipt."""
    swept = sweep_loglikelihood(model, recipes, material.continuations, batch_size=_ROWS, saes=saes)
    found = []
    for scores, receipts in zip(swept.scores, swept.receipts, strict=True):
        told = iter([score.log_probability for score in scores])
        found.append(([list(islice(told, len(own))) for own in material.choices], joined(receipts)))
    return found


def _answers(material: Material, scores: Sequence[Sequence[float]]) -> tuple[list[float], list[bool]]:
    margins, right = [], []
    for item, own in zip(material.items, scores, strict=True):
        margins.append(margin(own, item.answer))
        each = [score / max(1, len(choice)) for score, choice in zip(own, item.choices, strict=True)]
        right.append(each.index(max(each)) == item.answer)
    return margins, right


def _passages(
    model: ChatModel, recipes: Sequence[Recipe], material: Material, saes: Sequence[SAE]
) -> list[tuple[list[float], list[float], int]]:
    """(KL, nats) of each passage and the tokens edited, without steering first."""
    rows = material.passages
    kl = [[0.0] * len(rows) for _ in range(len(recipes) + 1)]
    nats = [[0.0] * len(rows) for _ in range(len(recipes) + 1)]
    edited = [0] * (len(recipes) + 1)
    sweep = Sweep(model, [None, *recipes], saes=saes)
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    width = model.hf.get_input_embeddings().weight.shape[0] * max(map(len, rows))
    size = max(1, _VALUES // width)
    for start in range(0, len(order), size):
        places = order[start : start + size]
        plain: list[Tensor] = []
        some = [rows[place] for place in places]
        for arm, (logits, receipts) in enumerate(sweep.logits(some, [1] * len(places))):
            edited[arm] += sum(receipt.tokens_edited for receipt in receipts)
            for n, place in enumerate(places):
                told = logits[n, : len(rows[place]) - 1].float().log_softmax(-1)
                if arm == 0:
                    plain.append(told)
                kl[arm][place] = 0.0 if arm == 0 else float(divergence(plain[n], told).sum())
                ids = torch.tensor(rows[place][1:], device=told.device)
                nats[arm][place] = -float(told.gather(-1, ids[:, None]).sum())
    if not all(math.isfinite(one) for some in (*kl, *nats) for one in some):
        raise ClampdownError(NOT_FINITE)
    return list(zip(kl, nats, edited, strict=True))


def divergence(plain: Tensor, steered: Tensor) -> Tensor:
    """KL(plain ‖ steered) in nats of log-probabilities [..., vocabulary]: [...]."""
    return (plain.exp() * (plain - steered)).sum(-1)
