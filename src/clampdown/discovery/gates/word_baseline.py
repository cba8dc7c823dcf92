"""The baseline: logistic regression on TF-IDF of the request's words or characters, with no model at all."""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates.choice import Halves, best_of
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.logistic import minimised
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.steering.gates.spans import read_text
from clampdown.steering.gates.words import Words

_PLACES = 1 << 16
"""Of hashed n-grams: the file holds two numbers for each."""
_SHORTEST, _LONGEST = 2, 4
_STRENGTHS = (1e-3, 1e-4, 1e-5)
_STEPS = 60


def request_text(model: ChatModel, prompt: Prompt, over: str = "request") -> str:
    """What `Words` are counted in when the gate is asked: the request as its tokens spell it."""
    return "\n".join(model.tokenizer.decode(ids, skip_special_tokens=True) for ids in read_text(prompt, over))


def fit_words(texts: Sequence[str], y: Tensor, weight: Tensor, clusters: Sequence[str]) -> Fitted:
    """TF-IDF of these texts' n-grams of characters, with a penalty that held-out rows choose."""
    plain = Words(torch.ones(_PLACES), torch.ones(_PLACES), shortest=_SHORTEST, longest=_LONGEST)
    counts = [plain.counts(text) for text in texts]
    seen = Counter(place for own in counts for place in own)
    idf = torch.zeros(_PLACES)
    for place, times in seen.items():
        idf[place] = math.log((1 + len(texts)) / (1 + times)) + 1
    columns = sorted(seen)
    x = _vectors(counts, idf, {place: number for number, place in enumerate(columns)})
    halves = Halves(y, weight, clusters)
    own, held, turned = x.index_select(0, halves.fit), x.index_select(0, halves.held), None
    turned = own.t().coalesce()
    fitted: dict[float, Tensor] = {}

    def told(strength: float) -> float:
        fitted[strength] = _fit(own, turned, y[halves.fit], weight[halves.fit], strength)
        return halves.auc((held @ fitted[strength][:-1, None])[:, 0])

    strength, auc = best_of(_STRENGTHS, told)
    beta = _fit(x, x.t().coalesce(), y, weight, strength)
    every = torch.zeros(_PLACES)
    every[columns] = beta[:-1]
    words = Words(idf, every, shortest=_SHORTEST, longest=_LONGEST)
    about = {
        "n-grams": f"{_SHORTEST} to {_LONGEST} characters",
        "penalty": f"{strength:g}",
        "held-out AUC": f"{auc:.3f}",
    }
    return Fitted(words=words, bias=float(beta[-1]), about=about)


def _vectors(counts: Sequence[dict[int, int]], idf: Tensor, number: dict[int, int]) -> Tensor:
    """v̂ of each text, sparse: [text, n-gram]."""
    rows, columns, values = [], [], []
    for row, own in enumerate(counts):
        v = {place: (1 + math.log(count)) * float(idf[place]) for place, count in own.items()}
        length = math.sqrt(sum(value * value for value in v.values())) or 1.0
        for place, value in v.items():
            rows.append(row)
            columns.append(number[place])
            values.append(value / length)
    return torch.sparse_coo_tensor(
        torch.tensor([rows, columns]), torch.tensor(values), (len(counts), len(number)), check_invariants=False
    )


def _fit(x: Tensor, turned: Tensor, y: Tensor, weight: Tensor, strength: float) -> Tensor:
    weight = weight / weight.sum()

    def loss(beta: Tensor) -> tuple[Tensor, Tensor]:
        score = (x @ beta[:-1, None])[:, 0] + beta[-1]
        value = (weight * torch.nn.functional.binary_cross_entropy_with_logits(score, y, reduction="none")).sum()
        off = weight * (score.sigmoid() - y)
        slope = (turned @ off[:, None])[:, 0] + strength * beta[:-1]
        return value + strength * beta[:-1].square().sum() / 2, torch.cat([slope, off.sum()[None]])

    return minimised(loss, torch.zeros(x.shape[1] + 1), _STEPS)
