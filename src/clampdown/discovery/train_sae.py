"""Train an SAE on a chat model: its text, its activations computed once, then the training itself."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from clampdown.discovery.corpus import read_rows
from clampdown.discovery.evaluate_sae import finite_residual
from clampdown.models import residual
from clampdown.models.chat_model import Batch, ChatModel
from clampdown.progress import Progress, quiet
from clampdown.saes.activations import Activations, Cache, Residual, Streamed, build_cache
from clampdown.saes.files import save_sae
from clampdown.saes.ranks import ALONE, Ranks
from clampdown.saes.sae import SAE
from clampdown.saes.training import Settings, train

_REFERENCE_BATCHES = 64
"""About a quarter of a million tokens: where a latent's maximum is looked for."""
_REFERENCE_SHARE = 8
"""After a short training on so many times fewer steps than that had."""


def train_sae(
    model: ChatModel,
    layer: int,
    paths: Sequence[Path],
    folder: Path,
    settings: Settings,
    *,
    text_tokens: int | None = None,
    keep: bool = True,
    ranks: Ranks = ALONE,
    progress: Progress = quiet,
) -> SAE:
    """Train an SAE on the residual stream after block `layer` and save it as `folder`/sae.safetensors.

    Activations are computed by the blocks up to the layer only: once, and kept in `folder`/activations (two bytes a
    value), or without `keep` in every pass. Killed, the same call goes on where it was: at the first missing shard, or
    the last checkpoint. Of several processes (see `saes.ranks`) each makes the same call, and the first writes the SAE;
    `folder` is one that all see.

    Raises:
        ClampdownError: no such layer, unreadable text, or a folder that holds another run.
    """

    def read() -> list[list[int]]:
        residual.check_layer(layer, model.n_layers)
        return read_rows(model, paths, settings.seed, text_tokens)

    rows = ranks.agree(read)
    if keep:
        cache: Activations = cache_activations(model, layer, rows, folder / "activations", progress, ranks)
    else:
        cache = Streamed(rows, activations_of(model, layer), model.d_model, ranks)
    trainee = train(
        cache,
        settings,
        folder,
        lambda tokens, fvu: progress("training", tokens, settings.tokens, f"FVU {fvu:.3f}"),
        device=model.device_at(layer),
        ranks=ranks,
    )
    about = {
        "text": ", ".join(path.name for path in paths),
        "different_tokens": str(cache.tokens),
        "tokens_seen": str(settings.steps * settings.batch),
        "settings": ", ".join(f"{key} {value}" for key, value in asdict(settings).items()),
        "model_sha256": model.sha256,
    }
    sae = trainee.finished(folder.name, layer, model.name, about)
    sae = replace(sae, maximum=maxima(sae, cache, settings.steps // _REFERENCE_SHARE))
    ranks.agree(lambda: save_sae(sae, folder / "sae.safetensors") if ranks.first else None)
    return sae


def maxima(sae: SAE, cache: Activations, steps: int) -> Tensor:
    """Each latent's largest activation on a seeded part of the training text, for clamp values such as "1.5x".

    steps: how many batches at most; at least one is looked at, and never more than a quarter of a million tokens.
    """
    most = max(1, min(_REFERENCE_BATCHES, steps))
    best = torch.zeros(sae.n_latents)
    for batch in islice(cache.batches(min(4096, cache.tokens), seed=0), most):
        best = torch.maximum(best, sae.largest(batch))
    return best


def cache_activations(
    model: ChatModel,
    layer: int,
    rows: list[list[int]],
    folder: Path,
    progress: Progress = quiet,
    ranks: Ranks = ALONE,
) -> Cache:
    """The residual stream after block `layer` on every row, cached in `folder`; sinks at position 0 left out."""
    total = sum(len(row) - 1 for row in rows)
    settings = {"model": model.sha256, "layer": layer, "dtype": str(model.dtype)}
    compute = activations_of(model, layer)
    return build_cache(folder, rows, compute, settings, lambda n: progress("activations", n, total, ""), ranks)


def activations_of(model: ChatModel, layer: int) -> Residual:
    """What gives the residual after block `layer`, on the CPU, within what float16 holds."""

    def activations(ids: Tensor, mask: Tensor) -> Tensor:
        batch = Batch(ids.to(model.device), mask.to(model.device))
        with model.unsteered():
            x = model.residual(batch, [layer])[0].float()
        return finite_residual(model, layer, x).clamp(-65_000, 65_000).cpu()

    return activations
