"""A chat template as a program: whether its prompts change from day to day, its clock stopped, and its fingerprint."""

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

_CLOCK = "strftime_now"
"""The one function by which Transformers lets a template ask for the time."""


def template_text(tokenizer: Any) -> str:
    """The template that chats are rendered with; empty where there is none."""
    found = getattr(tokenizer, "chat_template", None) or ""
    return str(found.get("default", "")) if isinstance(found, dict) else str(found)


def is_dated(text: str) -> bool:
    """Whether a template asks what time it is."""
    return _CLOCK in text


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
