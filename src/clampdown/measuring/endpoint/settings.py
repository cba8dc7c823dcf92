"""Which settings a model behind an endpoint takes, learnt from what it refuses; and those that its name carries."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from clampdown.errors import ClampdownError
from clampdown.measuring.endpoint.trouble import LIMITS


class Chosen(NamedTuple):
    """What `?temperature=1&max_tokens=4000` behind an endpoint's name asks for; None is left to whoever asks."""

    temperature: float | None = None
    max_tokens: int | None = None


def chosen(query: str) -> Chosen:
    """Raises ClampdownError for a setting that there is not, or a value that can't be; it repeats no value."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in Chosen._fields:
            raise ClampdownError(
                f"an endpoint's name takes ?temperature=T and &max_tokens=N behind it, not {name!r}; a key belongs "
                "into OPENAI_API_KEY"
            )
        found[name] = _temperature(value) if name == "temperature" else _count(value)
    return Chosen(**found)


def _temperature(text: str) -> float:
    value = float(text) if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) else math.nan
    if not value <= 2:
        raise ClampdownError("an endpoint's temperature lies from 0 to 2, such as ?temperature=1")
    return value


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise ClampdownError("an endpoint's max_tokens is a whole number from 1 on, such as ?max_tokens=4000")
    return int(text)


@dataclass
class Taken:
    """What one model at one endpoint has shown: the settings that it refused, and whether it ever answered."""

    limits: tuple[str, ...] = LIMITS
    refused: set[str] = field(default_factory=set)
    answered: bool = False

    def body(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted settings as this model takes them: the limit under its name, what it refused left out."""
        limit = next((name for name in self.limits if name not in self.refused), None)
        named = {limit if key in LIMITS else key: value for key, value in wanted.items()}
        return {k: v for k, v in named.items() if k is not None and k not in self.refused and v is not None}

    def learn(self, name: str, sent: Mapping[str, Any]) -> bool:
        """Note a refusal. Returns whether another request would differ from the one that was sent."""
        if name in LIMITS and name not in sent:  # a proxy speaks of the name that it made of ours
            self.refused.update(LIMITS)
            return any(limit in sent for limit in LIMITS)
        self.refused.add(name)
        return name in sent

    def remarks(self) -> list[str]:
        """What was asked without, in words."""
        told = ["takes no temperature of ours: its own was used"] if "temperature" in self.refused else []
        return told + (["takes no limit of tokens"] if self.refused.issuperset(LIMITS) else [])
