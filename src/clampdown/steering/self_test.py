"""Before a recipe is trusted: check on the loaded model that it does what it says."""

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Recipe
from clampdown.saes.files import load_sae
from clampdown.steering.attach import Steering

_PROBE = "Name a colour."


@torch.inference_mode()
def self_test(model: ChatModel, recipe: Recipe) -> None:
    """Run a short prompt and one cached token, steered beside unsteered, and compare with plain arithmetic.

    Raises:
        ClampdownError: no token was edited, a neighbour's row changed, or the edited residual is not what the recipe's
            formula gives.
    """
    if not recipe.edits:
        return
    ids = model.prompt_ids(_PROBE)
    batch = model.pad([ids, ids])
    steering = Steering(model, [recipe, None])
    layer = min(edit.layer for edits in steering.edits for edit in edits)
    seen: list[Tensor] = []
    with steering:
        # Registered after the steering's own hook, so it sees the edited residual.
        handle = residual.blocks(model.hf)[layer].register_forward_hook(
            lambda _m, _i, output: seen.append(residual.block_output(output).float())
        )
        try:
            out = model.hf(**batch.as_inputs(), use_cache=True)
            ends = torch.ones(2, 1, dtype=torch.long, device=batch.attention_mask.device)
            mask = torch.cat([batch.attention_mask, ends], dim=1)
            step = batch.input_ids[:, -1:]
            model.hf(input_ids=step, attention_mask=mask, past_key_values=out.past_key_values, use_cache=True)
        finally:
            handle.remove()
    steered, plain = steering.receipts()
    if steered.tokens_edited == 0:
        raise ClampdownError(f"recipe {recipe.name} edited no token in a self-test; nothing would be steered")
    if plain.tokens_edited:
        raise ClampdownError(
            f"recipe {recipe.name} reached a row that is not its own in a self-test; refusing to steer"
        )
    _compare(recipe, layer, seen[0])


def _compare(recipe: Recipe, layer: int, seen: Tensor) -> None:
    """The prompt's last token at the lowest edited layer, against decode(z') + (x − decode(z)) by full encoding."""
    clamps = [edit for edit in recipe.edits if edit.layer == layer]
    if len(clamps) != 1 or not isinstance(clamps[0], Clamp):
        return
    if recipe.positions.scope in ("generated", "first-generated"):
        return
    clamp = clamps[0]
    after, before = seen[0, -1], seen[1, -1]
    if recipe.positions.sink_norm is not None and before.norm() > recipe.positions.sink_norm:
        return
    sae = load_sae(clamp.sae).to(before.device)
    z = sae.encode(before)
    changed = z.clone()
    maxima = {} if sae.maximum is None else {latent: float(sae.maximum[latent]) for latent in clamp.relative}
    for latent, value in clamp.resolved(maxima).items():
        changed[latent] = value
    scale = sae.normalised(before)
    error = before - sae.decode(z, scale) if clamp.rule == "delta" else 0.0
    expected = sae.decode(changed, scale) + error
    if (after - expected).norm() > 0.02 * expected.norm():
        raise ClampdownError(f"recipe {recipe.name}: the self-test's residual is not what the clamp's formula gives")
