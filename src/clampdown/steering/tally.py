"""What was done to each row of a batch, counted where the model runs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


class Tally:
    """Tokens seen, tokens edited, and Σ ‖Δ‖/‖x‖ over edits, for each row.

    Counting never waits for an accelerator; reading does. `alive` are the rows that still go on, [row of now].
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.alive = torch.arange(rows)
        self._told = torch.zeros(rows, 4, dtype=torch.float64)
        exact = torch.float32 if device.type == "mps" else torch.float64  # which Apple's GPUs don't have
        self._now = list(torch.zeros(4, rows, dtype=exact, device=device))

    def __len__(self) -> int:
        return len(self._told)

    def saw(self, real: Shaped[Tensor, "line column"], of: Int[Tensor, " line"] | None = None) -> None:
        """These columns [row, column] were text. of: each line's row, where several lines are of one row."""
        self._add(0, real, of)

    def edited(
        self,
        tokens: Shaped[Tensor, "line column"],
        edits: Shaped[Tensor, "line column"],
        ratio: Float[Tensor, "line column"],
        of: Int[Tensor, " line"] | None = None,
    ) -> None:
        """Of these columns `tokens` were edited for the first time in a call, `edits` now, by ‖Δ‖/‖x‖ of `ratio`.

        All are [row, column], the ratio 0 where nothing was edited.
        """
        for place, more in enumerate((tokens, edits, ratio), 1):
            self._add(place, more, of)

    def keep(self, rows: Int[Tensor, " some"]) -> None:
        """Go on with these rows only; what the others came to stands."""
        self._told = self._whole()
        self.alive = self.alive[rows.cpu()]
        self._now = [total[rows.to(total.device)] for total in self._now]

    def fan_out(self, rows: Int[Tensor, " some"]) -> None:
        """Go on with new rows, row r continuing rows[r] of those so far, of which none was left out."""
        self._now = [total[rows.to(total.device)] for total in self._now]
        self.alive = torch.arange(len(rows))
        self._told = torch.zeros(len(rows), 4, dtype=torch.float64)

    def joined(self, other: "Tally") -> "Tally":
        """The rows that still go on of both, these first; what others came to is forgotten."""
        return Tally.of([self, other])

    @classmethod
    def of(cls, tallies: Sequence["Tally"]) -> "Tally":
        """The same of several."""
        device = tallies[0]._now[0].device
        found = cls(sum(len(one.alive) for one in tallies), device)
        for place, totals in enumerate(zip(*(one._now for one in tallies), strict=True)):
            found._now[place] = torch.cat([told.to(device) for told in totals])
        return found

    def rows(self) -> Sequence[tuple[int, int, float]]:
        """Tokens seen, tokens edited, and mean ‖Δ‖/‖x‖ over edits (0 without any), for every row there ever was."""
        return [
            (int(seen), int(tokens), ratio / edits if edits else 0.0)
            for seen, tokens, edits, ratio in self._whole().tolist()
        ]

    def _add(self, place: int, more: Tensor, of: Tensor | None) -> None:
        # Never in place: calls in and out of inference mode may follow each other.
        total = self._now[place]
        row = (more[:, 0] if more.shape[1] == 1 else more.sum(-1)).detach().to(total.device)
        self._now[place] = total + row if of is None else total.index_add(0, of.to(total.device), row.to(total))

    def _whole(self) -> Tensor:
        told = self._told.clone()
        told[self.alive] = torch.stack(self._now, 1).cpu().double()
        return told
