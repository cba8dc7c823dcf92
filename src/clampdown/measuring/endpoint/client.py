"""A chat model behind an OpenAI-compatible HTTP endpoint, as attacker, judge or target."""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.measuring.endpoint.http import Endless, Failed, Unreached, post
from clampdown.measuring.endpoint.reply import FILTERED, Completion, Trouble, one_line, read_reply
from clampdown.measuring.endpoint.settings import Taken, chosen
from clampdown.measuring.endpoint.trouble import LIMITS, Meaning, meaning, refused_setting

__all__ = ["DEFAULT_URL", "Chat", "Completion", "Endpoint", "Failing", "Refused", "TooLong"]

Chat = Sequence[Mapping[str, str]]
"""Messages of one conversation: {"role": ..., "content": ...} each."""
DEFAULT_URL = "https://api.openai.com/v1"
_NAME = re.compile(r"openai:(?P<model>(?:(?!://).)+?(?<!@))(?:@(?P<url>https?://[^?\s]+))?(?:\?(?P<query>[^@\s]*))?")
_LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more is taken at this."""


class TooLong(ClampdownError):
    """The conversation does not fit the model's context."""


class Refused(ClampdownError):
    """This one conversation was refused or answered with nothing that can be read; another may fare better."""


class Failing(Refused):
    """All tries failed on this conversation, though the endpoint has answered others."""


class _Again(Exception):
    """Worth another try; `wait` is how long the server asked for, in seconds (0: it didn't say)."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _Setting(Exception):
    """A setting that the model does not take."""


@dataclass(frozen=True)
class Endpoint:
    """One model at one endpoint.

    Attributes:
        url: up to and without /chat/completions.
        key: sent as a bearer token where not empty; never shown, and never sent anywhere else.
        timeout: seconds of silence after which a request is tried again.
        retries: further tries after 429, 5xx, a timeout or a broken connection.
        backoff: seconds before the first of them; doubled each time. A Retry-After of the server's is kept to.
        temperature, max_tokens: used in place of what a request asks for; None leaves it at that.
        taken: what the model has shown that it takes. A setting that it refuses is left out from then on, or renamed.
    """

    model: str
    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 1.0
    temperature: float | None = None
    max_tokens: int | None = None
    taken: Taken = field(default_factory=Taken, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", self.url):
            raise ClampdownError(f"endpoint {self.model!r} needs a URL such as http://localhost:8000/v1")
        if not re.fullmatch(r"[!-~]*", self.key):
            raise ClampdownError("the key in OPENAI_API_KEY holds a space or a letter that no header can; set it anew")
        if self.url == DEFAULT_URL:
            self.taken.limits = LIMITS[::-1]  # OpenAI's newer models want the other name

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """The endpoint called `openai:MODEL@URL`, or `openai:MODEL` for OPENAI_BASE_URL or OpenAI's own.

        Behind it `?temperature=T&max_tokens=N`, or one of the two, sets these. The key comes from the environment,
        OPENAI_API_KEY; a local server needs none.
        """
        found = _NAME.fullmatch(text)
        if not found:
            raise ClampdownError(f"{text!r} names no endpoint; write openai:MODEL@URL, the URL up to and with /v1")
        url = found["url"] or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL
        own, key = chosen(found["query"] or ""), os.environ.get("OPENAI_API_KEY", "").strip()
        return cls(found["model"], url.rstrip("/"), key, temperature=own.temperature, max_tokens=own.max_tokens)

    def chat(
        self, messages: Chat, *, temperature: float | None = 0.0, max_tokens: int = 512, seed: int | None = None
    ) -> str:
        """The text of the model's answer. See `complete`."""
        return self.complete(messages, temperature=temperature, max_tokens=max_tokens, seed=seed).text

    def complete(
        self, messages: Chat, *, temperature: float | None = 0.0, max_tokens: int = 512, seed: int | None = None
    ) -> Completion:
        """The model's answer; `temperature` or `seed` None leaves that to the server.

        A content filter's refusal is a completion without text, see `Completion.why`.

        Raises:
            TooLong: the server says that the conversation exceeds the model's context.
            Refused: the server refuses this conversation, or (`Failing`) no try with it came to anything.
            ClampdownError: one line, when the endpoint can't be reached, refuses the request for a reason that all
                others share, or has never answered with a completion.
        """
        wanted = {
            "max_tokens": self.max_tokens or max_tokens,
            "temperature": temperature if self.temperature is None else self.temperature,
            "seed": seed,
        }
        tried = 0
        while True:
            body = {"model": self.model, "messages": [dict(m) for m in messages]} | self.taken.body(wanted)
            try:
                return self._once(body)
            except _Setting as refusal:
                self._learn(str(refusal), body)
            except _Again as again:
                tried += 1
                if tried > self.retries:
                    kind = Failing if self.taken.answered else ClampdownError
                    raise kind(f"{self} failed {tried} times: {again}; try later, or name another") from again
                time.sleep(min(_LONGEST_WAIT, again.wait or self.backoff * 2 ** (tried - 1)))

    def __str__(self) -> str:
        return f"endpoint openai:{self.model}@{self.url}"

    def _learn(self, name: str, sent: Mapping[str, Any]) -> None:
        """Do without a setting from now on, if it was not the user who asked for it."""
        given = self.max_tokens is not None and self.taken.refused.issuperset({*LIMITS} - {name})
        if (name == "temperature" and self.temperature is not None) or (name in LIMITS and given):
            key = "temperature" if name == "temperature" else "max_tokens"
            raise ClampdownError(f"{self} does not take that {key}; leave ?{key}= out of its name, or choose another")
        if not self.taken.learn(name, sent):
            raise Refused(f"{self} refused the request for its {name}, which was not sent; name another endpoint")

    def _once(self, body: Mapping[str, Any]) -> Completion:
        wait, location = 0.0, ""
        try:
            found = read_reply(self._post(body))
        except Failed as failed:
            found, wait, location = failed.trouble, failed.wait, failed.location
        except Endless as error:
            raise Refused(f"{self} answered without end: {error}") from error
        except ValueError as error:
            told = f"{self} answered something that is no chat completion ({error})"
            if self.taken.answered:  # it has done better, so the URL is right
                raise _Again("its answer was no chat completion") from error
            raise ClampdownError(f"{told}; check the URL, which ends before /chat/completions") from error
        if isinstance(found, Completion):
            self.taken.answered = True
            return found
        return self._troubled(found, wait, location)

    def _troubled(self, trouble: Trouble, wait: float, location: str) -> Completion:
        said = self._hushed(trouble.message)
        match meaning(trouble):
            case Meaning.FILTERED:
                self.taken.answered = True
                return Completion("", True, FILTERED)
            case Meaning.CUT:
                return Completion("", False)
            case Meaning.SETTING:
                raise _Setting(refused_setting(trouble))
            case Meaning.AGAIN:
                raise _Again(f"{trouble.status} {said}", wait)
            case Meaning.TOO_LONG:
                raise TooLong(f"{self} refused the request ({trouble.status}): {said}")
            case Meaning.ROW:
                raise Refused(f"{self} refused the request ({trouble.status}): {said}")
        if 300 <= trouble.status < 400:
            said = f"it points to {self._hushed(one_line(location))}; name that URL"
        elif trouble.status in (401, 403):
            said = f"{said}; set OPENAI_API_KEY"
        elif any(limit in said for limit in LIMITS):
            said = f"{said}; set another by ?max_tokens=N behind its name"
        raise ClampdownError(f"{self} refused the request ({trouble.status}): {said}")

    def _hushed(self, text: str) -> str:
        """Foreign words without the key, which some servers repeat."""
        return text.replace(self.key, "[key]") if self.key else text

    def _post(self, body: Mapping[str, Any]) -> bytes:
        try:
            return post(f"{self.url}/chat/completions", self.key, json.dumps(body).encode(), self.timeout)
        except Unreached as error:
            said = self._hushed(one_line(str(error)))
            if error.broken or self.taken.answered:  # it was there a moment ago
                raise _Again(said) from error
            raise ClampdownError(f"can't reach {self}: {said}; is it running?") from error
