"""Each kind of gate fitted on rows: what it reads is read by the model once, and what was learned is what will run."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from clampdown.discovery.gates import condition, latents, word_baseline
from clampdown.discovery.gates.choice import Halves, best_of
from clampdown.discovery.gates.features import (
    Read,
    pooled_latents,
    pooled_residuals,
    pooled_with_windows,
    token_means,
    token_residuals,
)
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.hidden_probe import fit_hidden_probe
from clampdown.discovery.gates.options import OF_LATENTS, TOKENWISE, FitOptions
from clampdown.discovery.gates.probe import fit_probe
from clampdown.discovery.gates.rows import GateRow
from clampdown.discovery.gates.scores import compiled, prompt_scores
from clampdown.discovery.gates.split import joined_clusters
from clampdown.discovery.gates.weights import labels, row_weights
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress
from clampdown.saes.sae import SAE


class Material:
    """The rows that are fitted on."""

    def __init__(
        self,
        model: ChatModel,
        rows: Sequence[GateRow],
        prompts: Sequence[Prompt],
        calibrating: Collection[str],
        progress: Progress,
    ) -> None:
        self.model, self.prompts, self.progress = model, prompts, progress
        self.y, self.weight, self.clusters = labels(rows), row_weights(rows, calibrating), joined_clusters(rows)

    @property
    def of(self) -> tuple[Tensor, Tensor, list[str]]:
        return self.y, self.weight, self.clusters


def fitted_kind(some: Material, reads: Sequence[Read], sae: SAE | None, options: FitOptions) -> Fitted:
    """A gate of the kind that the options say; `sae` is for those of latents."""
    model, prompts, progress = some.model, some.prompts, some.progress
    if options.kind == "words":
        return fitted_words(some)
    if options.kind in OF_LATENTS:
        assert sae is not None
        z = pooled_latents(model, prompts, sae, reads[0], progress)
        progress("fitting", 0, 0, "")
        make = latents.best_latents if options.kind == "latents" else latents.sparse_probe
        return make(z, *some.of, sae, reads[0], options.most)
    if options.kind == "condition":
        return _condition(some, reads)
    if options.hidden:
        return _hidden(some, reads, options)
    if reads[0].pool in TOKENWISE:
        tokens = token_residuals(model, prompts, reads, progress)
        x = torch.stack([token_means(own) for own in tokens], 1)
    else:
        tokens, x = [], pooled_residuals(model, prompts, reads, progress)
    return fit_probe(x, *some.of, reads, tokens=tokens, window=options.window, progress=progress)


def _hidden(some: Material, reads: Sequence[Read], options: FitOptions) -> Fitted:
    """Hidden layers, of what is pooled and of windows."""
    plain, windowed = ([read for read in reads if (read.pool == "max") == side] for side in (False, True))
    x, windows = pooled_with_windows(some.model, some.prompts, plain, windowed, options.window, some.progress)
    return fit_hidden_probe(
        x,
        *some.of,
        plain,
        units=options.hidden,
        seed=options.seed,
        windows=windows,
        windowed=windowed,
        progress=some.progress,
    )


def fitted_words(some: Material) -> Fitted:
    """TF-IDF of the requests, which every gate is compared with."""
    some.progress("fitting on words", 0, 0, "")
    texts = [word_baseline.request_text(some.model, prompt) for prompt in some.prompts]
    return word_baseline.fit_words(texts, *some.of)


def _condition(some: Material, reads: Sequence[Read]) -> Fitted:
    """The vector, block and side that tell held-out rows apart best, fitted on the others."""
    halves = Halves(*some.of)
    x = pooled_residuals(some.model, [some.prompts[i] for i in halves.fit], reads, some.progress)
    vectors = condition.condition_vectors(x, some.y[halves.fit], some.weight[halves.fit])
    gates = [compiled(some.model, each.file(some.model)) for each in condition.conditions(reads, vectors)]
    told = prompt_scores(some.model, gates, [some.prompts[i] for i in halves.held], some.progress)
    sides = [(place, side) for place in range(len(reads)) for side in (1.0, -1.0)]
    (place, side), auc = best_of(sides, lambda way: halves.auc(way[1] * told[way[0]]))
    about = {"block": str(reads[place].layer), "held-out AUC": f"{auc:.3f}"}
    return Fitted((condition.condition(reads[place], vectors[place], side),), about=about)
