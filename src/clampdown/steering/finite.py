"""Whether each row's edited residuals are finite: one that is not fails by itself, and its neighbours go on."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from clampdown.errors import ClampdownError

Error = Callable[[int], str]
"""What to say of a row, by its number."""


class NotFinite(ClampdownError):
    """Steering gave a residual that is not finite, or too large."""


class Finite:
    """Looks at the sizes of edited residuals, where a number can be read at once or only later.

    Args:
        apart: keep each row's error in `errors`, by its number, and go on; else the first one is raised.
    """

    def __init__(self, apart: bool) -> None:
        self.apart = apart
        self.errors: dict[int, str] = {}
        self._unread: list[tuple[Tensor, Tensor, Error]] = []

    def look(
        self, sizes: Float[Tensor, " size"], rows: Int[Tensor, " size"], error: Error
    ) -> Bool[Tensor, " size"] | None:
        """Ask now: bool, which of these ‖x‖ are not finite, of the rows so numbered; None where all are.

        Raises:
            NotFinite: `error`, unless rows are kept apart.
        """
        finite = torch.isfinite(sizes)
        if finite.all():
            return None
        for row in rows[~finite.cpu()].tolist():
            if not self.apart:
                raise NotFinite(error(row))
            self.errors.setdefault(row, error(row))
        return ~finite

    def later(self, sizes: Float[Tensor, " size"], rows: Int[Tensor, " size"], error: Error) -> None:
        """Ask when it costs little: for a device that one has to wait for."""
        self._unread.append((sizes, rows, error))

    def __len__(self) -> int:
        """How many sizes wait to be asked for."""
        return len(self._unread)

    def settle(self) -> None:
        """Ask what was put off. Raises NotFinite as `look` does, and again when asked again."""
        unread = self._unread
        if unread and not torch.isfinite(torch.cat([sizes.cpu() for sizes, _, _ in unread])).all():
            for sizes, rows, error in unread:
                self.look(sizes.cpu(), rows, error)
        self._unread = []

    def fan_out(self, rows: Tensor) -> None:
        """Go on with new rows, row r continuing rows[r]."""
        self.settle()
        self.errors = {new: self.errors[old] for new, old in enumerate(rows.tolist()) if old in self.errors}

    def joined(self, rows: Tensor, other: "Finite", others: Tensor) -> "Finite":
        """What is known of these rows and of another's, which are numbered anew from 0 in this order."""
        found = Finite(self.apart)
        start = 0
        for known, numbers in ((self, rows.tolist()), (other, others.tolist())):
            known.settle()
            found.errors |= {start + at: known.errors[n] for at, n in enumerate(numbers) if n in known.errors}
            start += len(numbers)
        return found
