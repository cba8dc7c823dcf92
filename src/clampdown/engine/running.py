"""The one decode loop: rows that are being answered join, step and leave, each with its own recipe and sampling."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from clampdown.engine.chances import chance_of
from clampdown.engine.finite import NOT_FINITE, NOT_FINITE_UNSTEERED, not_finite
from clampdown.engine.prefilled import Opened
from clampdown.engine.request import Answer, Chance, Request, Sampling
from clampdown.engine.sparing import ToolCalls
from clampdown.models import key_values
from clampdown.models.chat_model import ChatModel
from clampdown.steering.positions import Places
from clampdown.steering.receipt import Receipt

_MIX = 1_000_003
"""A prime that keeps apart the draws of rows with one seed."""


def seed_at(sampling: Sampling, place: int) -> int:
    """The seed of what is drawn at a place, for all that share a sampling."""
    return (sampling.seed * _MIX + place) % 2**63


@dataclass
class Row:
    """One request that is being answered.

    Attributes:
        number: the row's place among all whose receipts the steering holds.
        draws: numbers from 0 to 1, one for each token that may come; none where the answer is greedy.
        ids: the tokens said so far.
        chance: how likely the last of them was, where the request asks.
        calls: follows the tools' calls that are to be spared.
        ended: it said its last, failed, or was cancelled.
    """

    request: Request
    number: int
    draws: Tensor | None = None
    ids: list[int] = field(default_factory=list)
    chance: Chance | None = None
    ended: bool = False
    calls: ToolCalls | None = None

    @classmethod
    def of(cls, request: Request, number: int, place: int = 0) -> "Row":
        """A row whose draws depend on its sampling's seed and on `place` alone."""
        sampling = request.sampling
        if sampling.temperature == 0:
            return cls(request, number)
        draw = torch.Generator().manual_seed(seed_at(sampling, place))
        return cls(request, number, torch.rand(sampling.max_new_tokens, generator=draw, dtype=torch.float64))

    def takes(self, token: int, stop_ids: Collection[int]) -> None:
        """Say one more token. stop_ids: the model's."""
        self.ids.append(token)
        if self.calls is not None:
            self.calls.add(token)
        self.ended = self.finished(stop_ids) or len(self.ids) == self.request.sampling.max_new_tokens

    def finished(self, stop_ids: Collection[int]) -> bool:
        """Whether its last token ends an answer."""
        ends = stop_ids if self.request.stop_ids is None else self.request.stop_ids
        return bool(self.ids) and self.ids[-1] in ends


class Running:
    """A batch that is being answered. Its steering must be on while it steps.

    Attributes:
        rows: those still in the batch; some may have ended, and leave once they are a quarter of it, if they may.
        steering: what all of them run under; it holds the receipts of those that left, too.
    """

    def __init__(self, model: ChatModel, begun: Opened, rows: Sequence[Row], *, leave: bool = True) -> None:
        self.model, self.rows, self.steering, self._leave = model, list(rows), begun.steering, leave
        self._cache, self._mask, self._position = begun.cache, begun.mask, begun.position
        self._prompt_length = begun.position + 1
        self._logits = begun.logits[:, -1]
        self._tokens: Tensor | None = None  # said, and not yet read by the model
        for row in self.rows:
            row.calls = ToolCalls(model) if row.request.spare else None

    @property
    def over(self) -> bool:
        return all(row.ended for row in self.rows)

    @torch.inference_mode()
    def step(self) -> list[tuple[Row, int]]:
        """One more token of every row that goes on."""
        self._read()
        tokens, said = self._chosen(), []
        for place, (row, token) in enumerate(zip(self.rows, tokens.tolist(), strict=True)):
            if row.ended:
                continue
            if row.number in self.steering.errors:
                row.ended = True
                continue
            row.takes(token, self.model.stop_ids)
            if row.request.likeliest is not None:
                row.chance = chance_of(self._logits[place], token, row.request.likeliest)
            said.append((row, token))
        self._tokens = tokens
        return said

    def join(self, other: "Running") -> None:
        """Let the rows of another batch, whose prompts were read, go on in this one. No steering may be on.

        Rows that left are forgotten: their answers must have been taken.

        Raises:
            ClampdownError: what this model's blocks keep can't be joined (see `key_values.joined`).
        """
        with self.steering, torch.inference_mode():
            self._read()
            self._cache, self._mask = key_values.joined([self._cache, other._cache], [self._mask, other._mask])
            for name in ("_position", "_prompt_length", "_logits"):
                setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))
        self.steering.join(other.steering)
        self.rows += other.rows
        for place, row in enumerate(self.rows):
            row.number = place

    def answers(self, rows: Sequence[Row]) -> list[Answer]:
        """What rows that ended said; their receipts are read from the device."""
        receipts, errors = self.steering.receipts(), self.steering.errors
        return [self._answer(row, receipts[row.number], errors.get(row.number, "")) for row in rows]

    def _answer(self, row: Row, receipt: Receipt, error: str) -> Answer:
        if row.calls is not None:
            receipt = replace(receipt, spared=row.calls.spared)
        if error:
            return Answer("", (), False, receipt, error)
        said, finished = self.model.said(row.ids, row.request.prompt), row.finished(self.model.stop_ids)
        return Answer(said, tuple(row.ids), finished, receipt)

    def _read(self) -> None:
        """Let the model read what was said last, rows that ended leaving first once they are a quarter."""
        if self._tokens is None:
            return
        ended = [row.ended for row in self.rows]
        if self._leave and sum(ended) * 4 >= len(ended):
            self._keep([place for place, done in enumerate(ended) if not done])
        # A row that ended is fed padding until it leaves, so its receipt does not depend on its neighbours either.
        real = torch.tensor([[not row.ended] for row in self.rows]).to(self._mask.device)
        self._mask = torch.cat([self._mask, real.to(self._mask)], dim=1)
        self._position = self._position + 1
        nobody = torch.zeros_like(real)  # what is said now is an answer, and no user's turn
        places = Places(real, self._position, self._prompt_length, begun=True, user=nobody, spared=self._spared())
        self.steering.expect(places)
        self._logits = self.model.hf(
            input_ids=self._tokens[:, None],
            attention_mask=self._mask,
            position_ids=self._position,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        self._tokens = None

    def _spared(self) -> Tensor | None:
        """Which rows' last tokens are of a tool's call that is to be spared, [row, 1]; they are counted. None: none."""
        inside = [row.calls is not None and row.calls.inside and not row.ended for row in self.rows]
        if not any(inside):
            return None
        for row, spared in zip(self.rows, inside, strict=True):
            if spared and row.calls is not None:
                row.calls.spared += 1
        return torch.tensor(inside)[:, None].to(self._mask.device)

    def _keep(self, going: list[int]) -> None:
        """Go on with these rows of the batch only; the receipts of the others stand."""
        index = torch.tensor(going, dtype=torch.long)
        key_values.choose_rows(self._cache, index)
        self.steering.rows.keep(index)
        self.rows = [self.rows[place] for place in going]
        for name in ("_mask", "_position", "_prompt_length", "_logits", "_tokens"):
            if (held := getattr(self, name)) is not None:
                setattr(self, name, held[index.to(held.device)])

    def _chosen(self) -> Tensor:
        """The next token of each row: the likeliest, or the one that its draw falls on: [row]."""
        going = [not row.ended for row in self.rows]
        if bad := [place for place in not_finite(self._logits) if going[place]]:
            self.steering.settle()  # whose own word comes first
            for place in bad:
                row = self.rows[place]
                self.steering.errors.setdefault(row.number, NOT_FINITE if row.request.recipe else NOT_FINITE_UNSTEERED)
        tokens = self._logits.argmax(-1)
        hot = [place for place, row in enumerate(self.rows) if going[place] and row.draws is not None]
        if hot:
            rows, index = [self.rows[place] for place in hot], torch.tensor(hot, device=tokens.device)
            samplings = [row.request.sampling for row in rows]
            heat = torch.tensor([[sampling.temperature] for sampling in samplings], dtype=torch.float64)
            top_p = torch.tensor([[sampling.top_p] for sampling in samplings], dtype=torch.float64)
            chance = torch.stack([row.draws[len(row.ids)] for row in rows if row.draws is not None])
            tokens = tokens.index_copy(0, index, drawn(self._logits[index], heat, chance, top_p))
        return tokens


def drawn(logits: Tensor, temperature: Tensor, chance: Tensor, top_p: Tensor | None = None) -> Tensor:
    """The token at `chance` (0 to 1, [row]) of each row's cumulative distribution: [row].

    logits [row, vocabulary], temperature and top_p [row, 1].
    """
    exact = logits.cpu().double()
    above = (exact - exact.amax(-1, keepdim=True)) / temperature  # from the top, so nothing overflows
    likely = above.softmax(-1)
    if top_p is not None and (top_p < 1).any():
        likely = torch.where(top_p < 1, _nucleus(likely, top_p), likely)
    reached = likely.cumsum(-1)
    # right: never a token of probability zero
    found = torch.searchsorted(reached, chance[:, None] * reached[:, -1:], right=True).squeeze(-1)
    return found.clamp_max(logits.shape[-1] - 1).to(logits.device)


def _nucleus(likely: Tensor, top_p: Tensor) -> Tensor:
    """Probabilities [row, vocabulary], those set to 0 that are not among the fewest which reach top_p [row, 1].

    The likeliest always stays. (Holtzman et al., The Curious Case of Neural Text Degeneration, arXiv 1904.09751.)
    """
    ordered, order = likely.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    return likely * torch.zeros_like(likely).scatter(-1, order, (before < top_p).to(likely))
