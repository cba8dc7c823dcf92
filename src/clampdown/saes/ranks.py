"""Processes that train one SAE together: which of them this is, and sums over all of them.

Each has the same parameters and some rows of every batch. Whatever is a sum over rows is summed over the processes, so
their number changes rounding only.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from clampdown.errors import ClampdownError, reason

T = TypeVar("T")
_PATIENCE = timedelta(hours=12)
"""Computing activations may keep one process busy for as long after another is done."""


@dataclass(frozen=True)
class Ranks:
    """One process of `count`, from 0; only the first writes and prints.

    meet: where processes wait for each other on CPUs, whatever carries tensors; None where there is but one.
    """

    rank: int = 0
    count: int = 1
    meet: Any = None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, size: int) -> slice:
        """This process' rows of a batch of so many."""
        return slice(self.rank * size // self.count, (self.rank + 1) * size // self.count)

    def total(self, x: Tensor) -> Tensor:
        """The sum over processes. A gradient flows to this process' part, and is yet to be summed (see `add_up`)."""
        return x if self.count == 1 else _Total.apply(x)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Sum each tensor over the processes, in place."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def gathered(self, x: Tensor) -> Tensor:
        """What all processes have, one behind the other. Their shapes are the same."""
        if self.count == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.count)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    def from_rank(self, rank: int, x: Tensor) -> Tensor:
        """What one process has in `x`, to all: in place, on the CPU."""
        if self.count > 1:
            dist.broadcast(x, rank, group=self.meet)
        return x

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier(group=self.meet)

    def agree(self, do: Callable[[], T]) -> T:
        """Do what each process must do before the next step; where it fails in one, it fails in all.

        Raises:
            ClampdownError: what the first that failed says. The others say nothing: SystemExit.
        """
        if self.count == 1:
            return do()
        found, said = None, None
        try:
            found = do()
        except ClampdownError as error:
            said = str(error)
        told: list[str | None] = [None] * self.count
        dist.all_gather_object(told, said, group=self.meet)
        failed = [rank for rank, one in enumerate(told) if one is not None]
        if failed and self.rank == failed[0]:
            raise ClampdownError(str(said))
        if failed:
            raise SystemExit(2)
        return found  # type: ignore[return-value]

    def fail(self, said: str) -> NoReturn:
        """End all processes, which have all come here. The first raises ClampdownError, the others SystemExit."""
        if self.first:
            raise ClampdownError(said)
        raise SystemExit(2)


ALONE = Ranks()


class _Total(torch.autograd.Function):
    """The sum over processes, whose gradient is each summand's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


@contextmanager
def joined() -> Iterator[Ranks]:
    """This process among those that torchrun started; alone where it started none.

    On GPUs each process takes the one of its number on its machine.

    Raises:
        ClampdownError: the others can't be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or "MASTER_ADDR" not in os.environ:
        yield ALONE
        return
    gpus = torch.cuda.is_available()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if gpus else "gloo", timeout=_PATIENCE)
        meet = dist.new_group(backend="gloo", timeout=_PATIENCE) if gpus else None
    except (RuntimeError, ValueError) as error:
        raise ClampdownError(f"the processes that torchrun started don't find each other: {reason(error)}") from error
    try:
        yield Ranks(dist.get_rank(), count, meet)
    finally:
        dist.destroy_process_group()
