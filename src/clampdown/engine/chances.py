"""How likely tokens are by their logits: in their place, and beside the likeliest there."""

import torch
from torch import Tensor

from clampdown.engine.request import Chance


def chance_of(logits: Tensor, token: int, likeliest: int) -> Chance:
    """How likely a token is by the logits [vocabulary] in its place, and so many of the likeliest."""
    return chances_of(logits[None], [token], likeliest)[0]


def chances_of(logits: Tensor, tokens: list[int], likeliest: int) -> list[Chance]:
    """The same for the token in each place, logits [place, vocabulary]; log-probabilities in float32."""
    told = logits.float().log_softmax(-1)
    own = told.gather(-1, torch.tensor(tokens, device=told.device)[:, None])[:, 0].tolist()
    values, ids = told.topk(min(likeliest, told.shape[-1]), dim=-1)
    return [
        Chance(token, value, tuple(zip(best, best_values, strict=True)))
        for token, value, best, best_values in zip(tokens, own, ids.tolist(), values.tolist(), strict=True)
    ]
