"""An attacker who has the weights: words behind the request, or before it, chosen by the score's gradient.

Greedy coordinate descent as in GCG (Zou et al., arXiv 2307.15043), on the gate's score in place of an answer's
likelihood: of the swaps of one word that the gradient ranks highest some are drawn and scored, and the best is kept
where it lowers the score. Words are single tokens of letters with a space before them, so that what is found survives
as text.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from clampdown.discovery.gate_attacks.dress import Dress
from clampdown.discovery.gate_attacks.gradients import score_gradient, swap_gains
from clampdown.discovery.gate_attacks.lock import Lock, Passed
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.steering.gates.compiled import CompiledGate

_TOP = 128
"""Tokens for each place that the gradient ranks highest."""
_AT_ONCE = 15
"""Swaps scored together, so that a step makes 16 queries with its gradient."""
_PATIENCE = 6
"""Steps in a row that find nothing lower, after which it begins anew."""
_LETTERS = (2, 14)
"""Of a word, from and to."""


class _Words(NamedTuple):
    """Words as they stand in the rendered prompt, at the places from `start` on."""

    ids: tuple[int, ...]
    dress: Dress
    prompt: Prompt
    start: int


class ByGradient:
    """Searches `tokens` words behind the request; once a search ends it begins anew, every other time ahead of it.

    Raises:
        ClampdownError: the model's tokenizer has no such words, or they don't survive its chat template.
    """

    name = "gradient"

    def __init__(self, model: ChatModel, gate: CompiledGate, tokens: int = 12) -> None:
        if tokens < 1:
            raise ClampdownError(f"the words to search must be 1 token at least, got {tokens}")
        self.tokens, self._known = tokens, word_tokens(model)
        if not gate.parts:
            raise ClampdownError("this gate reads words and no residuals, so it has no gradient; leave out gradient")
        trial = Lock(model, gate, "Good morning.", 1)
        if not self._known or self._begin(trial, random.Random(0), False) is None:
            raise ClampdownError("this model has no words that survive its chat template as tokens; leave out gradient")

    def prompts(self, lock: Lock, rng: random.Random) -> Iterator[Passed]:
        """Dresses under which the gate stays shut, one for each search that gets there, until the budget is spent."""
        ahead = False
        while lock.left:
            if (words := self._begin(lock, rng, ahead)) is None:
                return
            if (found := self._descended(lock, words, rng)) is not None:
                yield found
            ahead = not ahead

    def _begin(self, lock: Lock, rng: random.Random, ahead: bool) -> _Words | None:
        """Words drawn at random. None where there is no room for them."""
        for _ in range(8):
            drawn = tuple(rng.choice(self._known) for _ in range(self.tokens))
            if (words := _written(lock, drawn, ahead)) is not None:
                return words
        return None

    def _descended(self, lock: Lock, words: _Words, rng: random.Random) -> Passed | None:
        """The first words below the threshold; None where the descent gets stuck, or the budget is spent."""
        by_dress, best, idle = {words.dress: words}, float("inf"), -1
        while by_dress and lock.left and idle < _PATIENCE:
            idle += 1
            for dress, score, number in lock.scores(list(by_dress)):
                if lock.shut(score):
                    return Passed(dress, score, number)
                if score < best:
                    best, words, idle = score, by_dress[dress], 0
            by_dress = {one.dress: one for one in self._swaps(lock, words, rng)} if lock.left > 1 else {}
        return None

    def _swaps(self, lock: Lock, words: _Words, rng: random.Random) -> list[_Words]:
        """Drawn from those that the gradient ranks highest at each place."""
        _, slope = score_gradient(lock.model, lock.gate, words.prompt)
        lock.spend()
        known = torch.tensor(self._known)
        gains = swap_gains(lock.model, slope[words.start : words.start + self.tokens], known)
        ranked = known[gains.topk(min(_TOP, len(known)), largest=False).indices.cpu()].tolist()
        found: dict[tuple[int, ...], _Words] = {}
        for _ in range(4 * _AT_ONCE):
            if len(found) >= min(_AT_ONCE, lock.left):
                break
            place = rng.randrange(self.tokens)
            ids = (*words.ids[:place], rng.choice(ranked[place]), *words.ids[place + 1 :])
            if ids != words.ids and ids not in found:
                swap = _written(lock, ids, words.dress.ahead)
                if swap is not None:
                    found[ids] = swap
        return list(found.values())


def _written(lock: Lock, ids: Sequence[int], ahead: bool) -> _Words | None:
    """The request with these words; None where they would be read as other tokens, or outgrow the context."""
    text = lock.model.tokenizer.decode(list(ids))
    dress = Dress(words=text if text.startswith(" ") else f" {text}", ahead=ahead)
    try:
        prompt = lock.model.prompt_ids(dress.chat(lock.goal), system=lock.system, room=lock.room)
    except ClampdownError:
        return None
    start, end = prompt.user[-1] if prompt.user else (0, len(prompt))
    places = range(start, end - len(ids) + 1)
    own = [place for place in places if tuple(prompt[place : place + len(ids)]) == tuple(ids)]
    return _Words(tuple(ids), dress, prompt, own[0 if ahead else -1]) if own else None


def word_tokens(model: ChatModel) -> list[int]:
    """Tokens that are whole words of Latin letters with a space before them, by their ids."""
    shortest, longest = _LETTERS
    names = model.tokenizer.convert_ids_to_tokens(list(range(len(model.tokenizer))))
    marks = ("\u0120", "\u2581")  # how tokenizers write a space
    return [
        token
        for token, name in enumerate(names)
        if name
        and name[0] in marks
        and shortest < len(name) <= longest + 1
        and name[1:].isascii()
        and name[1:].isalpha()
        and name[2:].islower()
    ]
