"""Where in a model an SAE reads: publishers' names of the place, and the block whose output it is."""

import os
import re
from pathlib import Path

from clampdown.errors import ClampdownError

_AFTER = re.compile(r"(?:^|\.)(?:blocks|layers|h)\.(\d+)(?:\.hook_resid_post|\.output)?$")
_BEFORE = re.compile(r"(?:^|\.)blocks\.(\d+)\.hook_resid_pre$")


def layer_after(place: object, name: str) -> int:
    """The block whose output `place` is; the residual stream before block L is the output of block L − 1.

    Raises:
        ClampdownError: none, or any other (attention, MLP, embeddings, one head), which can't be clamped here.
    """
    if found := _AFTER.search(str(place)):
        return int(found[1])
    if (found := _BEFORE.search(str(place))) and int(found[1]) > 0:
        return int(found[1]) - 1
    if place is None:
        raise ClampdownError(
            f"{name} does not say where in the residual stream it reads; fetch its configuration again"
        )
    raise ClampdownError(
        f"{name} is an SAE of {str(place)!r}; only SAEs of the residual stream after a block can be used here"
    )


def names_of(path: Path, name: str) -> str:
    """Everything that folders and names say of an SAE whose files say too little, oldest ancestor first.

    Links are not followed: the hub's cache keeps the publisher's names on its links, and hashes behind them.
    """
    return f"{os.path.abspath(path)} {name}".replace(os.sep, "/")
