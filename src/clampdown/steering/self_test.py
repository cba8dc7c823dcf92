"""Before a recipe is trusted: check on the loaded model that it does what it says."""

from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Spans, user_turns
from clampdown.recipe import Clamp, Edit, Recipe
from clampdown.saes.load import load_sae
from clampdown.steering.attach import Steering
from clampdown.steering.edits import direction_vector
from clampdown.steering.gates.check import check_gate

_PROBE = "Name a colour."


@torch.inference_mode()
def self_test(model: ChatModel, recipe: Recipe) -> None:
    """Run a short prompt and one cached token, steered beside unsteered, and compare with plain arithmetic.

    A gate scores again the prompts that its file names; the edits are tested as if it were open.

    Raises:
        ClampdownError: no token was edited, a neighbour's row changed, the edited residual is not what the recipe's
            formula gives, or a gate's score is not what its file says.
    """
    check_gate(model, recipe)
    if not recipe.edits:
        return
    ids = model.probe_ids(_PROBE)
    batch = model.pad([ids, ids])
    turns = user_turns(ids)
    steering = Steering(model, [recipe, None], user_turns=[turns, turns], decided=True)
    layer = min(steering.rows.layers)
    unedited: list[Tensor] = []
    edited: list[Tensor] = []
    # The one before the steering's own hook sees the residual as it was, the one after it the edited one.
    with model.unsteered(), _watch(model, layer, unedited), steering, _watch(model, layer, edited):
        out = model.hf(**batch.as_inputs(), use_cache=True)
        ends = torch.ones(2, 1, dtype=torch.long, device=batch.attention_mask.device)
        mask = torch.cat([batch.attention_mask, ends], dim=1)
        step = batch.input_ids[:, -1:]
        model.hf(input_ids=step, attention_mask=mask, past_key_values=out.past_key_values, use_cache=True)
    steered, plain = steering.receipts()
    if steered.tokens_edited == 0:
        raise ClampdownError(f"recipe {recipe.name} edited no token in a self-test; nothing would be steered")
    if plain.tokens_edited or any(not torch.equal(a[1], b[1]) for a, b in zip(unedited, edited, strict=True)):
        raise ClampdownError(
            f"recipe {recipe.name} reached a row that is not its own in a self-test; refusing to steer"
        )
    for call, name in enumerate(("prompt", "cached token")):
        if recipe.positions.generated != "none" if call else recipe.positions.prompt != "none":
            place = -1 if call else _place(recipe, layer, unedited[0][0], turns)
            before, after = unedited[call][0, place], edited[call][0, place]
            _compare(recipe, layer, name, before, after, torch.finfo(model.dtype).eps)


def _place(recipe: Recipe, layer: int, x: Tensor, turns: Spans | None) -> int:
    """Where in the prompt, with residuals x [column, d_model], the edits are compared: at its last edited token.

    A clamp that multiplies, or keeps latents at least at a value, may have nothing to change there. So of the whole
    prompt it is the place where its latents differ most from what they are to be.
    """
    moving = [clamp for clamp in recipe.clamps if clamp.layer == layer and clamp.operation != "set"]
    if moving and recipe.positions.prompt == "all":
        most = sum((_edited(clamp, x) - x).norm(dim=-1) for clamp in moving)
        assert isinstance(most, Tensor)
        most[0] = -1.0  # a sink
        if recipe.positions.sink_norm is not None:
            most[x.norm(dim=-1) > recipe.positions.sink_norm] = -1.0
        return int(most.argmax())
    return turns[-1][1] - 1 if turns and recipe.positions.prompt == "user" else -1


def _watch(model: ChatModel, layer: int, seen: list[Tensor]) -> Any:
    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append(residual.block_output(output).float())

    return residual.blocks(model.hf)[layer].register_forward_hook(keep)


def _compare(recipe: Recipe, layer: int, call: str, before: Tensor, after: Tensor, eps: float) -> None:
    """An edited token's residual at the lowest edited layer, against the edits' formulas written out in full."""
    if recipe.positions.sink_norm is not None and before.norm() > recipe.positions.sink_norm:
        return
    expected = before
    for edit in recipe.edits:
        if edit.layer == layer:
            expected = _edited(edit, expected)
    # The change must be right, not only the sum: a small change that was never made is close to the sum too.
    allowed = 0.02 * (expected - before).norm() + 2 * eps * (before.norm() + expected.norm())
    if not (after - expected).norm() <= allowed:
        raise ClampdownError(
            f"recipe {recipe.name}: in a self-test the residual of the {call} is not what the recipe's formula gives"
        )


def _edited(edit: Edit, x: Tensor) -> Tensor:
    """One residual [d_model] edited; by a clamp, as decode(z') + (x − decode(z)) by full encoding, also several."""
    if not isinstance(edit, Clamp):
        vector = direction_vector(edit, len(x)).to(x.device)
        if edit.operation == "add":
            return x + edit.strength * vector
        return x - edit.strength * (x @ vector) / (vector @ vector) * vector
    sae, x, device = load_sae(edit.sae), x.cpu(), x.device
    maxima = {} if sae.maximum is None else {latent: float(sae.maximum[latent]) for latent in edit.relative}
    values = edit.resolved(maxima)
    if edit.rule == "delta" and sae.kind != "topk":  # the other latents don't change: a large SAE need not be read
        sae, values = sae.only(list(values)), dict(enumerate(values.values()))
    z = sae.encode(x)
    changed = z.clone()
    for latent, value in values.items():
        own = z[..., latent]
        made = {"set": torch.full_like(own, value), "at-least": own.clamp_min(value), "multiply": value * own}
        changed[..., latent] = made[edit.operation]
    scale = sae.normalised(x)
    error = x - sae.decode(z, scale) if edit.rule == "delta" else 0.0
    return (sae.decode(changed, scale) + error).to(device)
