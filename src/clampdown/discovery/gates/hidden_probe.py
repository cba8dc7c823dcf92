"""A dense probe with a hidden layer, and perhaps another over windows of the prompt (see `hidden_layers`)."""

from collections.abc import Sequence

from torch import Tensor

from clampdown.discovery.gates.choice import Halves, best_of
from clampdown.discovery.gates.features import Read, WindowMeans
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.hidden_layers import Inputs, Layer, fit_layers, undone
from clampdown.progress import Progress, quiet
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part

EPOCHS = (12, 6, 20)
"""Which of them is chosen by held-out clusters; of several alike the first."""


def fit_hidden_probe(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    clusters: Sequence[str],
    reads: Sequence[Read],
    *,
    units: int,
    seed: int,
    windows: WindowMeans | None = None,
    windowed: Sequence[Read] = (),
    progress: Progress = quiet,
) -> Fitted:
    """A hidden layer with a part for each read. For how long it is fitted is what tells held-out clusters apart best.

    Args:
        x: pooled residuals, [row, read, d_model], of pools that are linear.
        y, weight: [row].
        units: of the layer; one of windows has half as many.
        seed: of what it begins with, of batches and of what is dropped.
        windows, windowed: what a layer of windows is fed, and the reads that they are of.
    """
    some = Inputs(x.flatten(1), windows)
    epochs, told = _epochs(some, Halves(y, weight, clusters), units, seed, progress)
    scales = some.scales(weight)
    progress("fitting on all", 0, epochs, "")

    def tell() -> None:
        progress("fitting on all", 1, epochs, "")

    found = fit_layers(some.scaled(scales), y, weight, units, epochs, seed, tell)
    layer = undone(scales[0], found.pooled)
    parts, over_windows = _parts(layer, reads), None
    if windows is not None and found.windows is not None and scales[1] is not None:
        highest = undone(scales[1], found.windows)
        parts += _parts(highest, windowed, windows.length)
        over_windows = Hidden(highest.b, highest.head)
    about = {"hidden units": str(units), "epochs": str(epochs), "held-out AUC": f"{told:.3f}"}
    if over_windows is not None:
        about |= {"hidden units of windows": str(len(over_windows.head))}
    return Fitted(tuple(parts), bias=found.bias, hidden=Hidden(layer.b, layer.head), windows=over_windows, about=about)


def _parts(layer: Layer, reads: Sequence[Read], window: int = 1) -> list[Part]:
    """A part for each read that feeds the layer."""
    return [
        Part(read.layer, features="hidden", w=w.contiguous(), pool=read.pool, over=read.over, window=window)
        for read, w in zip(reads, layer.w.split(layer.w.shape[1] // len(reads), dim=1), strict=True)
    ]


def _epochs(some: Inputs, halves: Halves, units: int, seed: int, progress: Progress) -> tuple[int, float]:
    y, weight = halves.y[halves.fit], halves.weight[halves.fit]
    fit = some.of(halves.fit)
    scales = fit.scales(weight)
    progress("fitting", 0, sum(EPOCHS), "")
    fit, held = fit.scaled(scales), some.of(halves.held).scaled(scales)

    def tell() -> None:
        progress("fitting", 1, sum(EPOCHS), "")

    return best_of(EPOCHS, lambda n: halves.auc(fit_layers(fit, y, weight, units, n, seed, tell).scores(held)))
