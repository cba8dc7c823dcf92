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
from clampdown.saes.activations import Cache, build_cache
from clampdown.saes.files import save_sae
from clampdown.saes.sae import SAE
from clampdown.saes.training import Settings, train

_REFERENCE_BATCHES = 64
"""About a quarter of a million tokens: where a latent's maximum is looked for."""


def train_sae(
    model: ChatModel,
    layer: int,
    paths: Sequence[Path],
    folder: Path,
    settings: Settings,
    *,
    text_tokens: int | None = None,
    progress: Progress = quiet,
) -> SAE:
    """Train an SAE on the residual stream after block `layer` and save it as `folder`/sae.safetensors.

    Activations are computed once, by the blocks up to the layer only, and kept in `folder`/activations (two bytes a
    value). Killed, the same call goes on where it was: at the first missing shard, or the last checkpoint.

    Raises:
        ClampdownError: no such layer, unreadable text, or a folder that holds another run.
    """
    residual.check_layer(layer, model.n_layers)
    rows = read_rows(model, paths, settings.seed, text_tokens)
    cache = cache_activations(model, layer, rows, folder / "activations", progress)
    trainee = train(
        cache,
        settings,
        folder,
        lambda tokens, fvu: progress("training", tokens, settings.tokens, f"FVU {fvu:.3f}"),
    )
    about = {
        "text": ", ".join(path.name for path in paths),
        "different_tokens": str(cache.tokens),
        "tokens_seen": str(settings.steps * settings.batch),
        "settings": ", ".join(f"{key} {value}" for key, value in asdict(settings).items()),
        "model_sha256": model.sha256,
    }
    sae = trainee.finished(folder.name, layer, model.name, about)
    sae = replace(sae, maximum=maxima(sae, cache))
    save_sae(sae, folder / "sae.safetensors")
    return sae


def maxima(sae: SAE, cache: Cache) -> Tensor:
    """Each latent's largest activation on a seeded part of the training text, for clamp values such as "1.5x"."""
    best = torch.zeros(sae.n_latents)
    for batch in islice(cache.batches(min(4096, cache.tokens), seed=0), _REFERENCE_BATCHES):
        best = torch.maximum(best, sae.largest(batch))
    return best


def cache_activations(
    model: ChatModel, layer: int, rows: list[list[int]], folder: Path, progress: Progress = quiet
) -> Cache:
    """The residual stream after block `layer` on every row, cached in `folder`; sinks at position 0 left out."""
    total = sum(len(row) - 1 for row in rows)

    def activations(ids: Tensor, mask: Tensor) -> Tensor:
        batch = Batch(ids.to(model.device), mask.to(model.device))
        with model.unsteered():
            x = model.residual(batch, [layer])[0].float()
        return finite_residual(model, layer, x).clamp(-65_000, 65_000).cpu()

    settings = {"model": model.sha256, "layer": layer, "dtype": str(model.dtype)}
    return build_cache(folder, rows, activations, settings, lambda n: progress("activations", n, total, ""))
