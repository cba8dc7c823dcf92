"""The operator that vLLM's compiler sees after each decoder layer: opaque, so that it runs whatever is compiled."""

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from clampdown.errors import ClampdownError

NAME = "clampdown::steer"
ALONE = "clampdown::steer_alone"


class Steerer(Protocol):
    """Edits the residual stream after a layer, hidden + residual [token, d_model], in place."""

    def steer(self, layer: int, hidden: Tensor, residual: Tensor | None) -> None: ...


_STEERERS: WeakValueDictionary[int, Steerer] = WeakValueDictionary()
"""By the number that a model's operators carry: an operator takes numbers and tensors alone."""
_NUMBERS = count()
_LIBRARY: list[torch.library.Library] = []


def fasten(blocks: nn.ModuleList, steerer: Steerer) -> None:
    """Let every decoder layer hand its output to the steerer, for as long as this lives.

    Raises:
        ClampdownError: on the first call, where a layer's output is not known here.
    """
    _define()
    number = next(_NUMBERS)
    _STEERERS[number] = steerer
    for layer, block in enumerate(blocks):
        vars(block)["forward"] = _followed(block.forward, layer, number)


def _followed(forward: Callable[..., Any], layer: int, number: int) -> Callable[..., Any]:
    def followed(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        alone, pair = (_steer_alone, _steer)  # eagerly, without the way through the dispatcher
        if torch.compiler.is_compiling():
            alone, pair = torch.ops.clampdown.steer_alone, torch.ops.clampdown.steer
        if isinstance(output, torch.Tensor):
            alone(output, layer, number)
        elif isinstance(output, tuple) and len(output) == 2 and all(isinstance(one, torch.Tensor) for one in output):
            pair(output[0], output[1], layer, number)
        else:
            raise ClampdownError("this model's layers give what Clampdown does not know; it can't be steered on vLLM")
        return output

    return followed


def _define() -> None:
    if _LIBRARY:
        return
    library = torch.library.Library("clampdown", "DEF")
    library.define("steer(Tensor(a!) hidden, Tensor(b!) residual, int layer, int number) -> ()")
    library.define("steer_alone(Tensor(a!) hidden, int layer, int number) -> ()")
    library.impl("steer", _steer, "CompositeExplicitAutograd")
    library.impl("steer_alone", _steer_alone, "CompositeExplicitAutograd")
    for name in (NAME, ALONE):
        torch.library.register_fake(name, lambda *args: None, lib=library)
    _LIBRARY.append(library)


def _steer(hidden: Tensor, residual: Tensor, layer: int, number: int) -> None:
    _STEERERS[number].steer(layer, hidden, residual)


def _steer_alone(hidden: Tensor, layer: int, number: int) -> None:
    _STEERERS[number].steer(layer, hidden, None)
