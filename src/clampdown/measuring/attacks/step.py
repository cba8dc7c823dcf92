"""One step of an attack that an attacker leads: its message, the target's answer, the judges' word on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from clampdown.measuring.attacks.attacker import next_messages
from clampdown.measuring.attacks.conversation import Target, assistant, user
from clampdown.measuring.attacks.outcome import Exchange, Goal, Labeller, Turn
from clampdown.measuring.attacks.scoring import Scorer
from clampdown.measuring.judging.default.judge import REFUSING

STRIDE = 1000
"""Seeds of successive steps lie this far apart, so that retries and neighbours have room between them."""


@dataclass
class Attempt:
    """One line of attack on a goal: both conversations, the turns told so far, and why it stopped (empty: it goes on).

    The attacker remembers all of them; the target remembers `chat`.
    """

    goal: Goal
    attacker: list[dict[str, str]]
    stream: int = 0
    chat: list[dict[str, str]] = field(default_factory=list)
    told: list[Turn] = field(default_factory=list)
    stopped: str = ""

    @property
    def last(self) -> Turn | None:
        return self.told[-1] if self.told else None

    @property
    def declined(self) -> bool:
        """Whether the target declined the last message."""
        return bool(self.told) and self.told[-1].label in REFUSING


def step(
    live: Sequence[Attempt], requests: Sequence[str], attacker: Target, target: Target, label: Labeller, seed: int
) -> list[Attempt]:
    """Ask the attacker for each attempt's next message, send it, and label the answer; it is the last turn told.

    Returns the attempts that got an answer; the others have stopped.
    """
    for attempt, request in zip(live, requests, strict=True):
        attempt.attacker.append(user(request))
    messages = next_messages(attacker, [attempt.attacker for attempt in live], seed=seed)
    asked = []
    for attempt, given in zip(live, messages, strict=True):
        if given is None:
            attempt.stopped = "attacker"
            continue
        message, whole = given
        attempt.attacker.append(assistant(whole))
        attempt.chat.append(user(message))
        asked.append(attempt)
    answered = []
    for attempt, reply in zip(asked, target.reply([attempt.chat for attempt in asked], seed=seed), strict=True):
        if reply is None:
            attempt.stopped = "context"
            continue
        message = attempt.chat[-1]["content"]
        attempt.chat.append(assistant(reply.text))
        attempt.told.append(Turn.of(message, reply, "", attempt.stream))
        answered.append(attempt)
    for attempt, name in zip(answered, label([_exchange(attempt) for attempt in answered]), strict=True):
        attempt.told[-1] = replace(attempt.told[-1], label=name)
    return answered


def rate(attempts: Sequence[Attempt], scorer: Scorer | None) -> None:
    """Have a judge of harm rate the last turn of each attempt; without one, nothing is rated."""
    if not scorer or not attempts:
        return
    for attempt, verdict in zip(attempts, scorer([_exchange(attempt) for attempt in attempts]), strict=True):
        attempt.told[-1] = replace(attempt.told[-1], **verdict._asdict())


def _exchange(attempt: Attempt) -> Exchange:
    turn = attempt.told[-1]
    return Exchange(attempt.goal.text, turn.prompt, turn.answer, turn.finished, turn.blocked)
