"""A chat template as a program: whether its prompts change from day to day, its clock stopped, and its fingerprint."""

import hashlib
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.models.chat_model import ChatModel

ANY_DAY = datetime(2000, 1, 2, 3, 4, 5)
"""The moment at which templates are told apart, so that a dated one has the same fingerprint on all days."""
_CLOCK = "strftime_now"
"""The one function by which Transformers lets a template ask for the time."""
_DRAWS = re.compile(r"\|\s*random\b|['\"]random['\"]|\blipsum\b")
_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_WELL, _YES = {"role": "user", "content": "Well?"}, {"role": "assistant", "content": "Yes, twice."}
_PROBES = (
    [_WELL],
    [{"role": "system", "content": "Speak of herons."}, _WELL],
    [_WELL, _YES, {"role": "user", "content": "And the 2 others?\n"}],
    [_WELL, _YES],
)


def template_text(tokenizer: Any) -> str:
    """The template that chats are rendered with; empty where there is none."""
    found = getattr(tokenizer, "chat_template", None) or ""
    return str(found.get("default", "")) if isinstance(found, dict) else str(found)


def is_dated(text: str) -> bool:
    """Whether a template asks what time it is."""
    return _CLOCK in text


def check_steady(model: "ChatModel") -> None:
    """Raise ClampdownError for a template that draws at random: a stopped clock does not make its prompts the same."""
    if any(_DRAWS.search(code) for code in _CODE.findall(template_text(model.tokenizer))):
        raise ClampdownError(
            f"model {model.name}'s chat template draws at random, so no prompt of a study could be asked again; "
            "use a template without that"
        )


def stopped(text: str, moment: datetime) -> str:
    """The template with its clock stopped at `moment`; the same text where it never looks at the clock.

    What it asks the time with is hidden by a macro of that name. (Transformers hands a template no function of ours.)
    """
    if not is_dated(text):
        return text
    asked = sorted(set(re.findall(r"%[-_0^#]?[A-Za-z]", text)), key=len, reverse=True)
    told = [("%%", "\0"), *((one, moment.strftime(one)) for one in asked), ("\0", "%")]
    said = "".join(f" | replace({json.dumps(one)}, {json.dumps(other)})" for one, other in told)
    return f"{{% macro {_CLOCK}(format) %}}{{{{ format{said} }}}}{{% endmacro +%}}{text}"


def fingerprint(model: "ChatModel") -> str:
    """A hash of the template's text, the special tokens it is given, and what it makes of a few fixed chats."""
    still = model.at(ANY_DAY)
    special = {name: str(token) for name, token in model.tokenizer.special_tokens_map.items()}
    told = [template_text(model.tokenizer), special, *(_rendered(still, chat) for chat in _PROBES)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _rendered(model: "ChatModel", chat: list[dict[str, str]]) -> list[int] | None:
    try:
        return model.chat_ids(chat, answer=chat[-1]["role"] == "user")
    except ClampdownError:  # the template takes no such turns
        return None
