"""A gate's score of one prompt, read in the passes that read the prompt anyway, however these cut it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.steering.gates.compiled import CompiledGate, CompiledPart
from clampdown.steering.gates.reading import Reading
from clampdown.steering.gates.spans import read_positions


class PromptReading:
    """What a gate has read of one prompt so far.

    Attributes:
        next: the first token that was not read yet.
    """

    def __init__(self, model: ChatModel, gate: CompiledGate, prompt: Prompt) -> None:
        self.model, self.gate, self.prompt = model, gate, prompt
        self.places = [read_positions(prompt, part.part.pool, part.part.over) for part in gate.parts]
        self._told: list[list[Tensor]] = []
        self._taken: list[int] = []
        self.next = -1

    def begin(self, start: int) -> bool:
        """A pass begins that reads the prompt from `start` on; False if it can't be scored any more.

        Tokens from the start on may be read again: a request that was put off begins anew. What is left out before
        `start` must be nothing that the gate reads.
        """
        first = min((places[0] for places in self.places), default=len(self.prompt))
        if start == 0 or (start <= first and start != self.next):
            self._told, self._taken, self.next = [[] for _ in self.places], [0] * len(self.places), start
        return start == self.next

    def columns(self, part: int, start: int, end: int) -> list[int]:
        """Those of the tokens [start, end) that a part reads, counted from `start`."""
        return [place - start for place in self.places[part] if start <= place < end]

    def take(self, part: int, told: Tensor, tokens: int) -> None:
        """What a part of the gate made of some tokens."""
        self._told[part].append(told)
        self._taken[part] += tokens

    def went_to(self, end: int) -> None:
        """A pass has read as far as `end`."""
        self.next = end

    def score(self) -> float:
        """The prompt's score, once it was read whole; not a number where something is missing."""
        if self.next < len(self.prompt) or self._taken != [len(places) for places in self.places]:
            return float("nan")
        whole = [
            torch.stack([one.sum(0) for one in told]).sum(0, keepdim=True) if summed(part) else torch.cat(told)
            for part, told in zip(self.gate.parts, self._told, strict=True)
        ]
        [score] = Reading(self.model, self.gate, [self.prompt], [0], 0, early=whole).scores()
        return score


def summed(part: CompiledPart) -> bool:
    """Whether of a part's tokens the sum is kept: [1, unit]; else each of them, [token, …]."""
    return part.part.feeds and not part.part.of_windows


def look(readings: Sequence[PromptReading], part: int, x: Tensor, columns: Sequence[Sequence[int]]) -> None:
    """Let one part of a gate read tokens of several prompts: those of prompt i are at `columns[i]` of x [token, d]."""
    some = [(reading, own) for reading, own in zip(readings, columns, strict=True) if own]
    if not some:
        return
    compiled, counts = some[0][0].gate.parts[part], [len(own) for _, own in some]
    index = torch.tensor([column for _, own in some for column in own], device=x.device)
    rows = torch.zeros_like(index)
    if summed(compiled):
        found = list(compiled.sums(x[None], rows, index, counts).split(1))
    else:
        found = list(compiled.scores(x[None], rows, index).split(counts))
    for (reading, own), told in zip(some, found, strict=True):
        reading.take(part, told, len(own))
