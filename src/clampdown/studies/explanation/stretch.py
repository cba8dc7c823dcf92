"""A rescaling of the residual as an SAE: one whose reconstruction is the residual, stretched.

Its latents are the residual's coordinates, each once for either sign, so decode(relu(x), relu(−x)) = f · x. A recipe
that passes the residual through it (rule reconstruct, no latent clamped) adds (f − 1) · x: a push along the residual
itself, which the next norm takes away again, but which changes how much the later blocks weigh beside it.
"""

import torch

from clampdown.saes.sae import SAE


def stretching(layer: int, d_model: int, factor: float) -> SAE:
    """The SAE that multiplies a residual of this width by a factor, exactly but for float32's rounding."""
    both = torch.cat([torch.eye(d_model), -torch.eye(d_model)])
    return SAE(
        name=f"residual times {factor:.6g} at layer {layer}",
        kind="relu",
        layer=layer,
        w_enc=both,
        b_enc=torch.zeros(2 * d_model),
        w_dec=factor * both,
        b_dec=torch.zeros(d_model),
    )
