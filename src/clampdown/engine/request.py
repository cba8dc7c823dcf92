"""What an engine is asked and what it says: requests, how they are sampled, answers and scores. Pure data."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.steering.positions import check_told
from clampdown.steering.receipt import Receipt


@dataclass(frozen=True)
class Sampling:
    """Greedy at temperature 0, else sampled: a row's draws depend on the seed and its place alone.

    top_p: only the likeliest tokens are drawn from, as few as together reach this probability; 1 is all of them.
    """

    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        wrong = [key for key in ("max_new_tokens", "seed") if type(getattr(self, key)) is not int]
        if wrong or not isinstance(self.temperature, int | float):
            raise ClampdownError(f"{wrong[0] if wrong else 'temperature'} must be a {'whole ' if wrong else ''}number")
        if self.max_new_tokens < 1:
            raise ClampdownError(f"the answer needs at least one token, got {self.max_new_tokens}")
        if not 0 <= self.temperature < math.inf:
            raise ClampdownError(f"temperature must be a number from 0, got {self.temperature}")
        if not isinstance(self.top_p, int | float) or not 0 < self.top_p <= 1:
            raise ClampdownError(f"top_p must be a number above 0 and up to 1, got {self.top_p}")
        if not 0 <= self.seed < 2**63:
            raise ClampdownError(f"a seed must be a whole number from 0 to 2^63, got {self.seed}")


@dataclass(frozen=True)
class Request:
    """A rendered prompt (token ids; a `Prompt` knows its user's turns), the recipe it is answered under, and how.

    Raises:
        ClampdownError: an empty prompt, or one that does not know the user's turns, which the recipe's window needs.
    """

    prompt: Sequence[int]
    recipe: Recipe | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stop_ids: frozenset[int] | None = None
    """The token ids that end the answer; None is the model's own."""
    decision: bool | None = None
    """What the recipe's gate decided, where that lies outside."""
    likeliest: int | None = None
    """Tell of each token how likely it was, and so many that were likeliest in its place; None tells nothing."""
    spare: bool = False
    """Edit nothing of a tool's call in the answer, whatever the window."""

    def __post_init__(self) -> None:
        if not len(self.prompt):
            raise ClampdownError("a request needs a prompt of one token at least")
        check_told([self.recipe], [user_turns(self.prompt)])


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes:
        text: its text; nothing where there is an error.
        ids: its token ids.
        finished: whether it stopped by itself.
        receipt: what steering did.
        error: why there is no answer, where what was computed for this prompt is not finite; else nothing.
    """

    text: str
    ids: tuple[int, ...]
    finished: bool
    receipt: Receipt
    error: str = ""

    def shown_by(self, page: Callable[["Answer"], str]) -> "Answer":
        """The same answer, which a notebook shows by `page`, as HTML; copies and pickles know nothing of it."""
        object.__setattr__(self, "_page", page)
        return self

    def _repr_html_(self) -> str:
        page = self.__dict__.get("_page")
        return str(page(self)) if page else f'<p style="white-space: pre-wrap">{escape(self.text or self.error)}</p>'

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_page"}


class Unanswered(ClampdownError):
    """Some of several prompts got no answer.

    Attributes:
        answers: one for each prompt, in order; those that failed have an `error` and no text.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        errors = [answer.error for answer in answers if answer.error]
        some = f"{len(errors)} of {len(answers)} prompts got no answer: " if len(errors) < len(answers) else ""
        super().__init__(some + errors[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.answers,)


def all_answered(answers: list[Answer]) -> list[Answer]:
    """The answers. Raises Unanswered if one has an error."""
    if any(answer.error for answer in answers):
        raise Unanswered(answers)
    return answers


class Chance(NamedTuple):
    """How likely a token was in its place, and what was likeliest there: log-probabilities (nats) at temperature 1.

    likeliest: (token id, log-probability), from the likeliest down.
    """

    token: int
    log_probability: float
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Event:
    """One more token of a request, or with the last event its whole answer.

    Attributes:
        request: its number, as `submit` gave it.
        token: the id; None with the last event.
        answer: None but with the last event.
        chance: how likely the token was, where the request asks for that.
    """

    request: int
    token: int | None = None
    answer: Answer | None = None
    chance: Chance | None = None


class Question(NamedTuple):
    """Token ids of a prompt, and of several answers to it, of which each one's log-likelihood is asked."""

    prompt: Sequence[int]
    choices: Sequence[Sequence[int]]


class Continuation(NamedTuple):
    """Token ids of a prompt, and of the answer whose log-likelihood after it is asked."""

    prompt: Sequence[int]
    answer: Sequence[int]


class Score(NamedTuple):
    """The answer's log-likelihood (nats), and whether greedy decoding would give it."""

    log_probability: float
    greedy: bool


class Swept(NamedTuple):
    """Scores and receipts, [recipe][request] each. What several requests share is in the first one's receipt."""

    scores: list[list[Score]]
    receipts: list[list[Receipt]]
