"""Best-of-N jailbreaking (Hughes et al., arXiv 2412.03556): a request in N noisy spellings, any of which may work.

Three kinds of noise, as that paper has them for text: letters inside words in another order, random capitals, and
characters moved by one code point.
"""

import random
import re

from clampdown.errors import ClampdownError
from clampdown.measuring.attacks.wrappers import Wrapper

SIGMA = 0.4
"""The paper's strength of the noise."""
_LONG_WORD = re.compile(r"\S{4,}")


def best_of_n(n: int, sigma: float = SIGMA) -> Wrapper:
    """N noisy spellings of a request.

    `sigma` from 0 to 1: a word of four letters or more is scrambled with probability √σ, a letter's case flipped with
    √σ, a printable character moved by one with σ³.
    """
    if n < 1 or not 0 <= sigma <= 1:
        raise ClampdownError(f"best-of-N needs n from 1 and sigma from 0 to 1, got {n} and {sigma}")

    def wrap(prompt: str, rng: random.Random) -> list[str]:
        return [_moved(_capitals(_scrambled(prompt, rng, sigma), rng, sigma), rng, sigma) for _ in range(n)]

    return wrap


def _scrambled(text: str, rng: random.Random, sigma: float) -> str:
    """Words' first and last characters stay where they are."""

    def one(found: re.Match[str]) -> str:
        word = found[0]
        if rng.random() >= sigma**0.5:
            return word
        middle = list(word[1:-1])
        rng.shuffle(middle)
        return word[0] + "".join(middle) + word[-1]

    return _LONG_WORD.sub(one, text)


def _capitals(text: str, rng: random.Random, sigma: float) -> str:
    return "".join(c.swapcase() if c.isalpha() and rng.random() < sigma**0.5 else c for c in text)


def _moved(text: str, rng: random.Random, sigma: float) -> str:
    """Only where the neighbour in ASCII is printable too."""

    def one(c: str) -> str:
        if not "!" <= c <= "~" or rng.random() >= sigma**3:
            return c
        to = ord(c) + rng.choice((-1, 1))
        return chr(to) if 32 < to < 127 else c

    return "".join(map(one, text))
