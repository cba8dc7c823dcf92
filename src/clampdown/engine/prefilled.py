"""A batch of prompts that were read and are ready to be answered."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from clampdown.steering.attach import Steering


@dataclass(frozen=True)
class Opened:
    """Prompts that have been read.

    Attributes:
        steering: what the prompts were read under; on until the context ends.
        cache: keys and values of every prompt token.
        logits: after each prompt's last token, [row, 1, vocabulary].
        mask: of the cache's columns, [row, column]; 0 is padding.
        position: place of each row's last token, from 0, [row, 1].
        asked: everything that decides the lower blocks' part of the cache, for `below`.
    """

    steering: Steering
    cache: Any
    logits: Tensor
    mask: Tensor
    position: Tensor
    asked: tuple[Any, ...]
