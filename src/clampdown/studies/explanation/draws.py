"""Which latents a survey looks at."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from clampdown.studies.explanation.activations import Firing

_STRATA = 8


class Drawn(NamedTuple):
    """A latent and why it is there: "drawn" by seed, the "recipe" clamps it, or it is of "philosophy"."""

    latent: int
    why: str


def drawn(firing: Firing, own: Sequence[int], count: int, seed: int) -> list[Drawn]:
    """`count` living latents, as many from each eighth of them by firing rate; then the recipe's and philosophy's own.

    Fewer where fewer live. The latents beside the drawn ones are not among these.
    """
    besides = [Drawn(latent, "recipe") for latent in own]
    philosophical = firing.philosophical()
    if philosophical is not None and philosophical not in own:
        besides.append(Drawn(philosophical, "philosophy"))
    apart = {one.latent for one in besides}
    pool = sorted((i for i in firing.alive if i not in apart), key=lambda i: (float(firing.rate[i]), i))
    rng = random.Random(f"{seed} survey")
    strata = [pool[k * len(pool) // _STRATA : (k + 1) * len(pool) // _STRATA] for k in range(_STRATA)]
    for stratum in strata:
        rng.shuffle(stratum)
    deepest = max(map(len, strata), default=0)
    turns = [stratum[turn] for turn in range(deepest) for stratum in strata if turn < len(stratum)]
    return [*(Drawn(latent, "drawn") for latent in turns[:count]), *besides]


def halves(latents: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
    """Places of the latents that choose a predictor, and of those that report it: halves drawn by seed."""
    places = list(range(len(latents)))
    random.Random(f"{seed} survey halves").shuffle(places)
    middle = len(places) // 2
    return sorted(places[:middle]), sorted(places[middle:])
