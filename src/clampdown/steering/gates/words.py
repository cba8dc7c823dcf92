"""The baseline that every gate must beat: TF-IDF of the request's text, of n-grams of characters or words.

With tf the counts of a text's n-grams (or 1 + ln of them), v = tf · idf and v̂ = v / ‖v‖, the part of the score is
weight · v̂. N-grams that the vocabulary lacks count for nothing; without a vocabulary each has a place by its CRC-32.
"""

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from clampdown.errors import ClampdownError

UNITS = ("characters", "words")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Words:
    """TF-IDF of a text, and a weight for each n-gram.

    Attributes:
        idf, weight: [n-gram].
        vocabulary: the n-grams in that order; none where they are hashed.
        unit: n-grams of "characters" (of the text in small letters, spaces put together and one at each end) or
            "words".
        shortest, longest: n, from and to.
        sublinear: 1 + ln of counts, in place of counts.
        over: the text: "request" (the last user turn's), "users" (all of them) or "prompt".
    """

    idf: Tensor
    weight: Tensor
    vocabulary: tuple[str, ...] = ()
    unit: str = "characters"
    shortest: int = 1
    longest: int = 4
    sublinear: bool = True
    over: str = "request"

    def __post_init__(self) -> None:
        size = len(self.vocabulary) or len(self.idf)
        good = self.idf.shape == self.weight.shape == (size,) and size > 0
        finite = all(t.dtype == torch.float32 and bool(torch.isfinite(t).all()) for t in (self.idf, self.weight))
        _require(good and finite, "idf and weight must be finite float32, one of each for an n-gram")
        _require(len(set(self.vocabulary)) == len(self.vocabulary), "the vocabulary names an n-gram twice")
        _require(self.unit in UNITS, f"unit must be one of {', '.join(UNITS)}")
        _require(self.over in ("request", "users", "prompt"), "over must be request, users or prompt")
        whole = type(self.shortest) is int and type(self.longest) is int
        _require(whole and 1 <= self.shortest <= self.longest, "n-grams must be from 1 long, the longest last")
        _require(type(self.sublinear) is bool, "sublinear must be true or false")

    def __str__(self) -> str:
        kept = f"{len(self.vocabulary)} of a vocabulary" if self.vocabulary else f"hashed to {len(self.idf)}"
        return f"TF-IDF of {self.shortest} to {self.longest} {self.unit}, {kept}"

    @cached_property
    def _place(self) -> dict[str, int]:
        return {gram: place for place, gram in enumerate(self.vocabulary)}

    def counts(self, text: str) -> dict[int, int]:
        """How often the n-grams of each place stand in a text."""
        found: Counter[int] = Counter()
        for gram, count in Counter(n_grams(text, self.unit, self.shortest, self.longest)).items():
            if self.vocabulary:
                if (place := self._place.get(gram)) is not None:
                    found[place] += count
            else:
                found[zlib.crc32(gram.encode("utf-8", "replace")) % len(self.idf)] += count
        return dict(found)

    def score(self, text: str) -> float:
        """weight · v̂ of a text; 0 for one without any known n-gram."""
        counts = self.counts(text)
        if not counts:
            return 0.0
        tf = [1 + math.log(count) if self.sublinear else float(count) for count in counts.values()]
        places = torch.tensor(list(counts))
        v = torch.tensor(tf, dtype=torch.float64) * self.idf[places].double()
        length = v.norm()
        return float(v @ self.weight[places].double() / length) if length > 0 else 0.0


def n_grams(text: str, unit: str, shortest: int, longest: int) -> list[str]:
    """All n-grams of a text, n from `shortest` to `longest`, in the order they come; see `Words.unit`."""
    if unit == "words":
        words = _WORD.findall(text.lower())
        return [" ".join(words[i : i + n]) for n in range(shortest, longest + 1) for i in range(len(words) - n + 1)]
    line = f" {' '.join(text.lower().split())} "
    return [line[i : i + n] for n in range(shortest, longest + 1) for i in range(len(line) - n + 1)]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ClampdownError(message)
