"""What one request may ask for, and how much may be under way at once."""

from dataclasses import dataclass, fields

from clampdown.errors import ClampdownError


@dataclass(frozen=True)
class Limits:
    """Limits that the operator sets.

    Attributes:
        rows: answers that are said at once, as one batch; further ones wait.
        answers: those that are said or wait, of all requests together; beyond, a request is told to come again.
        body: bytes of a request.
        prompt_tokens: of one prompt; the model's context is another limit.
        answer_tokens: of one answer; what is said where a request names no number, too.
        n: answers to one prompt. prompts: of one request.
        stops: texts that end an answer; of at most `stop_length` characters each.
        reading: seconds in which a request must have come whole: its head, and then its body.
        seconds: for one request, reading it included.
        retry_after: seconds after which a request that found no room may come again.
    """

    rows: int = 32
    answers: int = 128
    body: int = 1 << 19
    prompt_tokens: int = 4096
    answer_tokens: int = 1024
    n: int = 16
    prompts: int = 64
    stops: int = 4
    stop_length: int = 256
    reading: int = 30
    seconds: int = 600
    retry_after: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ClampdownError(f"the limit {field.name} must be 1 at least, got {getattr(self, field.name)}")
