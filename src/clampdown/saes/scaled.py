"""A stored matrix whose rows are multiplied by a factor each: where they are read, so that it can stay in its file."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class Scaled(Tensor):
    """by · stored, row by row, as float32 [n, d], for a stored matrix [n, d] of any floating dtype and by [n].

    Rows come as plain tensors; a slice of rows, and all of it on another device, stay scaled. Any other operation
    works on the whole product in float32.
    """

    stored: Tensor
    by: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # results are plain tensors

    @staticmethod
    def __new__(cls, stored: Tensor, by: Tensor) -> "Scaled":
        self = Tensor._make_wrapper_subclass(cls, stored.shape, dtype=torch.float32, device=stored.device)
        self.stored, self.by = stored, by
        return self

    def __getitem__(self, index: Any) -> Tensor:
        if isinstance(index, slice):
            return Scaled(self.stored[index], self.by[index])
        if isinstance(index, tuple):
            return self._whole()[index]
        return self.stored[index].float() * self.by[index].unsqueeze(-1)

    def to(self, device: Any = None, dtype: torch.dtype | None = None, **more: Any) -> Tensor:
        """As a tensor's own, by name or in this order; in float32 it stays scaled, unless a copy is asked for."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        where = self.device if device is None else torch.device(device)
        if dtype not in (None, torch.float32) or more.get("copy"):
            return self._whole().to(where, dtype or torch.float32)
        return self if where == self.device else Scaled(self.stored.to(where), self.by.to(where))

    def float(self, *_: Any, **__: Any) -> Tensor:
        """Itself: it is float32 already."""
        return self

    def detach(self) -> Tensor:
        """Itself: nothing is learnt through it."""
        return self

    def __deepcopy__(self, _memo: Any) -> "Scaled":
        return self  # nobody writes to an SAE's weights

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        from torch.utils._pytree import tree_map_only

        told = dict(kwargs or {})
        moved = function is torch.ops.aten._to_copy.default and told.get("dtype", torch.float32) is torch.float32
        if moved and (device := told.get("device")) is not None:
            return Scaled(args[0].stored.to(device), args[0].by.to(device))
        args, told = tree_map_only(Scaled, Scaled._whole, (args, told))
        return function(*args, **told)

    def _whole(self) -> Tensor:
        return self.stored.float() * self.by.unsqueeze(-1)


def scaled(weight: Float[Tensor, "n d"], by: Float[Tensor, "#n"] | Float[Tensor, ""]) -> Float[Tensor, "n d"]:
    """The rows of `weight` [n, d] times `by` [n], or times one number."""
    by = by.float().expand(len(weight))
    return Scaled(weight.stored, weight.by * by) if isinstance(weight, Scaled) else Scaled(weight, by)
