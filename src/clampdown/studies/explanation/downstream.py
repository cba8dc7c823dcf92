"""What an edit changes on ordinary prompts: latents of SAEs at its layer and above, and the answer's first token."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE
from clampdown.discovery.describe import promoted
from clampdown.engine.sharing import Sweep
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.attach import Steering

_PROMPTS = 24
_SHOWN = 8


def changed_latents(model: ChatModel, recipe: Recipe, saes: Sequence[SAE], seed: int) -> list[dict[str, Any]]:
    """For each SAE the latents whose mean activation the edit changes most, from the first token that it may reach on.

    Ordinary prompts with a short complying answer are read with and without the edit.

    Returns:
        {"sae", "layer", "downstream": whether blocks lie between, "tokens", "latents": [{"latent", "before", "after",
        "promotes"}]} each; before and after are mean activations in the SAE's own units.
    """
    starts = [
        model.prompt_ids(p, system=recipe.system_prompt or None) for p in selecting_prompts("safe", _PROMPTS, seed)
    ]
    rows = [ids + model.ids(COMPLIANCE) for ids in starts]
    batch, layers = model.pad(rows, side="right"), sorted({sae.layer for sae in saes})
    with model.unsteered():
        before = dict(zip(layers, model.residual(batch, layers), strict=True))
    lengths, turns = [len(ids) for ids in starts], [ids.user for ids in starts]
    with Steering(model, [recipe] * len(rows), prompt_lengths=lengths, user_turns=turns):
        after = dict(zip(layers, model.residual(batch, layers), strict=True))
    lowest = min(edit.layer for edit in recipe.edits)
    found = []
    for sae in saes:
        reached = _reached(before[sae.layer], after[sae.layer], batch.attention_mask.bool())
        first, second = (_means(sae, x[sae.layer][reached]) for x in (before, after))
        top = (second - first).abs().topk(min(_SHOWN, sae.n_latents)).indices.tolist()
        words = promoted(model, sae, top)
        found.append(
            {
                "sae": sae.name,
                "layer": sae.layer,
                "downstream": sae.layer > lowest,
                "tokens": int(reached.sum()),
                "latents": [
                    {
                        "latent": latent,
                        "before": float(first[latent]),
                        "after": float(second[latent]),
                        "promotes": promotes,
                    }
                    for latent, promotes in zip(top, words, strict=True)
                ],
            }
        )
    return found


def _reached(before: Tensor, after: Tensor, real: Tensor) -> Tensor:
    """Real columns from each row's first that the edit changes on, its sink left out: bool [row, column]."""
    differs = (before != after).any(-1) & real.to(before.device)
    differs[:, 0] = False
    return (differs.cumsum(-1) > 0) & real.to(before.device)


def _means(sae: SAE, x: Tensor) -> Tensor:
    """Mean activation of each latent: [n_latents]."""
    own = sae.to(x.device)
    with torch.inference_mode():
        total = sum((own.encode(tile.float()).sum(0) for tile in x.split(256)), torch.zeros(sae.n_latents))
    return total / max(1, len(x))


def first_tokens(model: ChatModel, recipe: Recipe, seed: int) -> dict[str, Any]:
    """The tokens whose mean probability of beginning the answer to an ordinary prompt the edit changes most.

    Returns:
        {"n": prompts, "kl": mean KL(unsteered ‖ steered) there in nats, "gain" and "lose": [{"token", "before",
        "after"}]}.
    """
    rows = [model.prompt_ids(p, system=recipe.system_prompt or None) for p in selecting_prompts("safe", _PROMPTS, seed)]
    sweep = Sweep(model, [None, recipe])
    before, after = (
        logits.float().log_softmax(-1)
        for logits, _ in sweep.logits(rows, [len(row) for row in rows], answers_only=True)
    )
    kl = float((before.exp() * (before - after)).sum(-1).mean())
    first, second = before.exp().mean(0), after.exp().mean(0)
    change = second - first

    def told(places: Tensor) -> list[dict[str, Any]]:
        return [
            {"token": model.tokenizer.decode([place]), "before": float(first[place]), "after": float(second[place])}
            for place in places.tolist()
        ]

    return {
        "n": len(rows),
        "kl": kl,
        "gain": told(change.topk(_SHOWN).indices),
        "lose": told((-change).topk(_SHOWN).indices),
    }
