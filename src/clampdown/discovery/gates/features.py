"""What a gate can be fitted on: residuals of prompts at several places and blocks, or an SAE's activations there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.discovery.gates.logistic import Scale
from clampdown.discovery.gates.passes import passes
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress, quiet
from clampdown.saes.sae import SAE
from clampdown.saes.tiles import tokens_at_a_time
from clampdown.steering.gates.pooling import window_starts
from clampdown.steering.gates.spans import read_positions

_SOME = 1 << 11
"""Windows whose residuals are float32 at a time."""
_MOST = 4 << 30
"""Bytes of tokens' residuals that are held at once."""


class Read(NamedTuple):
    """The residual after a block, pooled over what of the prompt; see `steering.gates.parts`."""

    pool: str
    layer: int
    over: str = "request"


@dataclass(frozen=True)
class Tokens:
    """Residuals of the tokens that one `Read` reads, one prompt after the other.

    Attributes:
        x: [token, d_model], in the model's precision.
        counts: tokens of each prompt, [prompt].
    """

    x: Tensor
    counts: Tensor

    @property
    def rows(self) -> Tensor:
        """The prompt of each token: [token]."""
        return torch.arange(len(self.counts)).repeat_interleave(self.counts)


@dataclass(frozen=True)
class WindowMeans:
    """The mean residual of each window of prompts, one prompt after the other; windows as `gates.pooling` has them.

    Attributes:
        x: [window, read, d_model], in the model's precision.
        counts: windows of each prompt, [prompt].
        length: tokens of a window.
    """

    x: Tensor
    counts: Tensor
    length: int

    @property
    def rows(self) -> Tensor:
        """The prompt of each window: [window]."""
        return torch.arange(len(self.counts)).repeat_interleave(self.counts)

    def of(self, prompts: Tensor) -> "WindowMeans":
        """Those of these prompts, in their order."""
        counts = self.counts[prompts]
        begin = (self.counts.cumsum(0) - self.counts)[prompts]
        within = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        return WindowMeans(self.x[begin.repeat_interleave(counts) + within], counts, self.length)

    def scale(self, weight: Tensor) -> Scale:
        """Of the features, [read · d_model], by the prompts' weights, of which each window has its share."""
        share = (weight / self.counts / weight.sum())[self.rows].split(_SOME)
        mean, variance = torch.zeros(self.x[0].numel()), torch.zeros(self.x[0].numel())
        for x, own in zip(self.x.split(_SOME), share, strict=True):
            mean += own @ x.flatten(1).float()
        for x, own in zip(self.x.split(_SOME), share, strict=True):
            variance += own @ (x.flatten(1).float() - mean).square_()
        return Scale.from_moments(mean, variance)


STAGE = "reading prompts"


def pooled_residuals(
    model: ChatModel, prompts: Sequence[Prompt], reads: Sequence[Read], progress: Progress = quiet
) -> Tensor:
    """One pass over the model: [prompt, read, d_model] in float32. The mean stands for max and attention, too."""
    return pooled_with_windows(model, prompts, reads, (), 1, progress)[0]


def pooled_with_windows(
    model: ChatModel,
    prompts: Sequence[Prompt],
    reads: Sequence[Read],
    windowed: Sequence[Read],
    length: int,
    progress: Progress = quiet,
) -> tuple[Tensor, WindowMeans | None]:
    """What `pooled_residuals` gives of `reads`, and of `windowed`, which read the same tokens, the windows, if any.

    Raises:
        ClampdownError: the windows would fill too much memory, or a residual is not finite.
    """
    found = torch.empty(len(prompts), len(reads), model.d_model)
    windows: list[Tensor] = [torch.empty(0)] * len(prompts)
    layers = sorted({read.layer for read in (*reads, *windowed)})
    starts = _starts(model, prompts, windowed, length)
    for some in passes(model, prompts):
        progress(STAGE, 0, len(prompts), "")
        seen = some.read(layers)
        for pool, over in dict.fromkeys((read.pool, read.over) for read in (*reads, *windowed)):
            places = [read_positions(prompt, pool, over) for prompt in some.prompts]
            counts = torch.tensor([len(each) for each in places])
            by_layer = dict(zip(layers, some.tokens(seen, places), strict=True))
            for number, read in enumerate(reads):
                if (read.pool, read.over) == (pool, over):
                    found[some.places, number] = _means(by_layer[read.layer].float(), counts).cpu()
            if any((read.pool, read.over) == (pool, over) for read in windowed):
                x = torch.stack([by_layer[read.layer] for read in windowed], 1)
                for place, tokens in zip(some.places, x.split(counts.tolist()), strict=True):
                    means = [tokens[start : start + length].float().mean(0) for start in starts[place]]
                    windows[place] = torch.stack(means).to(x.dtype).cpu()
        progress(STAGE, len(some.places), len(prompts), "")
    if not windowed:
        return _finite(found), None
    counts = torch.tensor([len(each) for each in starts])
    return _finite(found), WindowMeans(_finite(torch.cat(windows)), counts, length)


def _starts(model: ChatModel, prompts: Sequence[Prompt], windowed: Sequence[Read], length: int) -> list[list[int]]:
    """Where each prompt's windows begin among the tokens that are read."""
    if not windowed:
        return []
    first = windowed[0]
    starts = [window_starts(len(read_positions(prompt, first.pool, first.over)), length) for prompt in prompts]
    _check_room(sum(map(len, starts)) * len(windowed) * model.d_model * model.dtype.itemsize, len(windowed), "window")
    return starts


def _check_room(need: int, blocks: int, what: str) -> None:
    if need > _MOST:
        raise ClampdownError(
            f"every {what} of {blocks} blocks would fill {need / 2**30:.0f} GiB, and {_MOST >> 30} are allowed; "
            "name fewer --blocks, or take --pool mean"
        )


def token_residuals(
    model: ChatModel, prompts: Sequence[Prompt], reads: Sequence[Read], progress: Progress = quiet
) -> list[Tokens]:
    """For each read the residuals of all its tokens.

    Raises:
        ClampdownError: they would fill too much memory, or one is not finite.
    """
    places = {key: [read_positions(prompt, *key) for prompt in prompts] for key in {(r.pool, r.over) for r in reads}}
    width = model.d_model * model.dtype.itemsize
    need = sum(len(each) for read in reads for each in places[read.pool, read.over]) * width
    _check_room(need, len(reads), "token")
    layers = sorted({read.layer for read in reads})
    held: list[list[Tensor]] = [[torch.empty(0)] * len(prompts) for _ in reads]
    for some in passes(model, prompts):
        progress(STAGE, 0, len(prompts), "")
        seen = some.read(layers)
        for key in places:
            here = [places[key][place] for place in some.places]
            by_layer = dict(zip(layers, some.tokens(seen, here), strict=True))
            for number, read in enumerate(reads):
                if (read.pool, read.over) == key:
                    parts = by_layer[read.layer].cpu().split([len(each) for each in here])
                    for place, part in zip(some.places, parts, strict=True):
                        held[number][place] = part
        progress(STAGE, len(some.places), len(prompts), "")
    return [Tokens(_finite(torch.cat(each)), torch.tensor([len(part) for part in each])) for each in held]


def pooled_latents(
    model: ChatModel, prompts: Sequence[Prompt], sae: SAE, read: Read, progress: Progress = quiet
) -> Tensor:
    """An SAE's activations after its block, pooled ("mean" or "max", or at one token): [prompt, n_latents].

    Raises:
        ClampdownError: the SAE does not fit the model, they would fill too much memory, or one is not finite.
    """
    if sae.d_model != model.d_model:
        raise ClampdownError(f"SAE {sae.name} is for residuals of width {sae.d_model}, the model's is {model.d_model}")
    if (need := 4 * len(prompts) * sae.n_latents) > _MOST:
        raise ClampdownError(
            f"all {sae.n_latents:,} latents of {len(prompts):,} prompts would fill {need / 2**30:.0f} GiB, and "
            f"{_MOST >> 30} are allowed; take fewer prompts, or a narrower SAE"
        )
    found = torch.empty(len(prompts), sae.n_latents)
    device = model.device_at(read.layer)
    sae = sae.to(device)
    for some in passes(model, prompts):
        progress(STAGE, 0, len(prompts), "")
        places = [read_positions(prompt, read.pool, read.over) for prompt in some.prompts]
        (x,) = some.tokens(some.read([read.layer]), places)
        counts, size = torch.tensor([len(each) for each in places]), tokens_at_a_time(sae.n_latents)
        z = torch.cat([sae.encode(tile.to(device).float()).cpu() for tile in x.split(size)])
        found[some.places] = _largest(z, counts) if read.pool == "max" else _means(z, counts)
        progress(STAGE, len(some.places), len(prompts), "")
    return _finite(found)


def token_means(tokens: Tokens) -> Tensor:
    """The mean of each prompt's tokens, in float32: [prompt, d_model]."""
    return torch.stack([part.float().mean(0) for part in tokens.x.split(tokens.counts.tolist())])


def _finite(x: Tensor) -> Tensor:
    if not bool(x.isfinite().all()):
        raise ClampdownError("a residual that the gate reads is not finite; load the model with --dtype float32")
    return x


def _means(x: Tensor, counts: Tensor) -> Tensor:
    """The mean of each prompt's tokens."""
    rows = torch.arange(len(counts)).repeat_interleave(counts).to(x.device)
    total = x.new_zeros(len(counts), x.shape[-1]).index_add_(0, rows, x)
    return total / counts.to(x)[:, None]


def _largest(x: Tensor, counts: Tensor) -> Tensor:
    return torch.stack([part.amax(0) for part in x.split(counts.tolist())])
