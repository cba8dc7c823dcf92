"""How a gate's score changes with each token of a prompt: the gradient that an attacker takes who has the weights."""

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.steering.gates.compiled import CompiledGate
from clampdown.steering.gates.reading import Reading

_TILE = 8192
"""Tokens whose embeddings are held at once."""


def score_gradient(model: ChatModel, gate: CompiledGate, prompt: Prompt) -> tuple[float, Tensor]:
    """The score without what its words' TF-IDF adds, and its gradient with respect to the prompt's embeddings.

    Returns:
        The score, and [token, d_model] in float32.

    Raises:
        ClampdownError: the gate reads no residual, or the gradient is not finite.
    """
    if not gate.parts:
        raise ClampdownError("this gate reads words and no residuals, so it has no gradient; attack it by its score")
    embed = model.hf.get_input_embeddings()
    ids = torch.tensor([list(prompt)], device=model.device)
    with torch.enable_grad(), model.unsteered():
        x = embed(ids).detach().requires_grad_()
        reading = Reading(model, gate, [prompt], range(1), 0)
        with reading.rest():
            residual.read_residual(model.hf, {"inputs_embeds": x}, gate.file.layers[-1:])
        total = reading.total().sum()
        (slope,) = torch.autograd.grad(total, x)
    if not bool(slope.isfinite().all()):
        raise ClampdownError("the gate's gradient is not finite; load the model with --dtype float32")
    return float(total.detach()), slope[0].float()


@torch.inference_mode()
def swap_gains(model: ChatModel, slope: Tensor, tokens: Tensor) -> Tensor:
    """By how much the score would change, to first order, if another token stood at each place: [place, token].

    Up to a constant for each place: what the token that stands there gives is not subtracted.

    Args:
        slope: of some places, [place, d_model].
        tokens: ids, [token].
    """
    embed = model.hf.get_input_embeddings()
    return torch.cat([slope @ embed(some.to(model.device)).float().T for some in tokens.split(_TILE)], dim=1)
