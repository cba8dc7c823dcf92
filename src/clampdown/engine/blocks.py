"""A model cut after one block: up to the lowest edited layer nothing depends on the recipe, so those blocks run once.

What they made of a batch (residual, keys and values) serves every arm that is asked the same: the blocks above begin
with it, to the same bits.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import residual
from clampdown.models.chat_model import ChatModel
from clampdown.models.key_values import hollow_lower, lower_part, put_lower
from clampdown.recipe import Recipe


class Split:
    """The blocks up to `layer`, and those above, run apart.

    Raises:
        ClampdownError: the layer does not exist, or the upper blocks can't be run alone.
    """

    def __init__(self, model: ChatModel, layer: int) -> None:
        self.model, self.layer = model, layer
        with residual.starting_after(model.hf, layer):
            pass

    def lower(self, inputs: dict[str, Any]) -> Tensor:
        """The unsteered residual after `layer`, [row, column, d_model]; a cache in `inputs` grows below."""
        with self.model.unsteered():
            return residual.read_residual(self.model.hf, inputs, [self.layer])[0]

    def upper(self, x: Tensor, inputs: dict[str, Any]) -> Any:
        """The model's output from the residual x after `layer`, as `lower` gave it or edited; gradients flow to x."""
        with residual.starting_after(self.model.hf, self.layer) as begin:
            begin(x)
            return self.model.hf(**inputs)

    def both(self, inputs: dict[str, Any]) -> tuple[Any, Tensor]:
        """The model's output, and the residual after `layer` as it was before any edit there."""
        seen: list[Tensor] = []
        block = residual.blocks(self.model.hf)[self.layer]
        handle = block.register_forward_hook(
            lambda _module, _inputs, output: seen.append(residual.block_output(output)), prepend=True
        )
        try:
            out = self.model.hf(**inputs)
        finally:
            handle.remove()
        return out, seen[-1]


@dataclass(frozen=True)
class _Kept:
    """What one forward call left: what it was asked, the residual after `layer`, and what the lower blocks keep."""

    asked: Hashable
    x: Tensor
    lower: tuple[Any, ...]


class Below:
    """Keeps what the blocks up to the lowest edited layer made of the last batch.

    Attributes:
        layer: the lowest layer that any of the recipes edits; None where nothing can be shared, because no recipe
            edits any, or because this model's upper blocks can't be run alone.
    """

    def __init__(self, model: ChatModel, recipes: Sequence[Recipe | None]) -> None:
        self.model = model
        self.layer = min((edit.layer for recipe in recipes if recipe for edit in recipe.edits), default=None)
        self._kept: dict[str, _Kept] = {}
        if self.layer is not None:
            try:
                self._split = Split(model, self.layer)
            except ClampdownError:
                self.layer = None

    def call(self, step: str, asked: Hashable, inputs: dict[str, Any]) -> Any:
        """The model's output for `inputs`, from the kept residual where this step was last asked the same.

        step: which of a batch's forward calls this is; each keeps its last. asked: everything that decides what the
        lower blocks make of it, the tokens in the cache and their layout included. Nothing below `layer` may be edited.
        """
        if self.layer is None:
            return self.model.hf(**inputs)
        kept = self._kept.get(step)
        if kept is None or kept.asked != asked:
            self._kept.pop(step, None)  # its memory first
            return self._whole(step, asked, inputs)
        if (cache := inputs.get("past_key_values")) is not None:
            hollow_lower(cache, self.layer)
        out = self._split.upper(kept.x, inputs)
        if out.past_key_values is not None:
            put_lower(out.past_key_values, kept.lower)
        return out

    def forget(self) -> None:
        """Free what is kept: the next call is asked something else."""
        self._kept.clear()

    def _whole(self, step: str, asked: Hashable, inputs: dict[str, Any]) -> Any:
        """Run all blocks, and keep what the lower ones made, as it was before any edit."""
        assert self.layer is not None
        out, x = self._split.both(inputs)
        self._kept[step] = _Kept(asked, x, lower_part(out.past_key_values, self.layer))
        return out


def forward(model: ChatModel, below: Below | None, step: str, asked: Hashable, **inputs: Any) -> Any:
    """One forward call of the model, its lower blocks shared through `below` where there is one."""
    return model.hf(**inputs) if below is None else below.call(step, asked, inputs)
