"""The logit lens: what a latent's row alone would do to the next token."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.saes.sae import SAE


def logit_lens(model: ChatModel, sae: SAE, latents: Sequence[int]) -> Tensor:
    """[latent, vocabulary]: how each decoder row moves each token's logit: final norm's weight, then the head."""
    weight, head = residual.final_scale(model.hf), model.hf.get_output_embeddings()
    rows = sae.only(latents).w_dec
    if weight is not None:
        rows = rows * weight.to(rows)
    rows = rows.to(residual.device_of(head), model.dtype)
    with torch.inference_mode():
        moved: Tensor = head(rows) - head(
            0 * rows[:1]
        )  # called, for its weights may lie elsewhere in between; less bias
    return moved
