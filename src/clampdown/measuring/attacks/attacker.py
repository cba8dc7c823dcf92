"""The model that attacks: what it is told, and the message it answers with."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError, reason
from clampdown.measuring.attacks.conversation import Target
from clampdown.measuring.attacks.replies import json_reply
from clampdown.measuring.endpoint.client import Chat
from clampdown.measuring.sets.sets import read_rows
from clampdown.measuring.sets.tables import is_table
from clampdown.reading import read_text

_KEYS = ("next_message", "generated_question", "prompt")
"""What attackers' prompts have called the field that holds the message."""
_TRIES = 10
_PYRIT = {"crescendo": "crescendo/crescendo_variant_1.yaml", "pair": "pair/attacker_system_prompt.yaml"}


def attacker_prompt(attack: str, named: str, own: str) -> str:
    """The template of an attacker's system prompt, with slots such as {{ objective }}.

    Args:
        attack: "crescendo" or "pair".
        named: "" for our own, "pyrit" for the one that an installed PyRIT starts from, or a file: text, YAML with a
            `value`, or a table such as JSONL with a `template` (FILE#NAME takes the row of that
            `name`, else the first counts).

    Raises:
        ClampdownError: no such file, no template in it, or PyRIT is not installed.
    """
    if not named:
        return own
    if named == "pyrit":
        return _yaml(_pyrit_folder() / _PYRIT[attack])
    file, _, wanted = named.partition("#")
    path = Path(file).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return _yaml(path)
    if not is_table(path):
        return read_text(path)
    rows = [row.cells for row in read_rows(path, "unsafe")[0] if not wanted or row.cells.get("name") == wanted]
    if not rows or not isinstance(rows[0].get("template"), str):
        raise ClampdownError(f"{path} holds no template{f' called {wanted!r}' if wanted else ''}; name another file")
    return str(rows[0]["template"])


def fill(template: str, **values: Any) -> str:
    """The template with its slots filled. Raises ClampdownError if it is no Jinja template."""
    from jinja2.sandbox import SandboxedEnvironment

    try:
        return SandboxedEnvironment().from_string(template).render(**values)
    except Exception as error:  # a template is a program
        raise ClampdownError(f"the attacker's prompt is not a template that can be filled ({reason(error)})") from error


def next_messages(attacker: Target, chats: Sequence[Chat], *, seed: int) -> list[tuple[str, str] | None]:
    """For each chat with the attacker the message to send and the attacker's whole reply; None if it gave none.

    A reply that can't be read is asked for again, up to ten times, as PyRIT does: the attacker does not see that it
    failed, only the seed differs. What a content filter keeps back it would keep back again.
    """
    found: list[tuple[str, str] | None] = [None] * len(chats)
    open_ = list(range(len(chats)))
    for attempt in range(_TRIES):
        if not open_:
            break
        replies = attacker.reply([chats[i] for i in open_], seed=seed + attempt * len(chats))
        for i, reply in zip(open_, replies, strict=True):
            message = _message(reply.text) if reply and not reply.blocked else None
            if reply and message:
                found[i] = (message, reply.text)
        again = [reply is not None and not reply.blocked for reply in replies]
        open_ = [i for i, unread in zip(open_, again, strict=True) if unread and found[i] is None]
    return found


def _message(text: str) -> str | None:
    body = json_reply(text, *_KEYS) or {}
    message = next((body[key] for key in _KEYS if key in body), None)
    return message if isinstance(message, str) and message.strip() else None


def _pyrit_folder() -> Path:
    spec = importlib.util.find_spec("pyrit")  # finds it without the seconds that importing it takes
    if spec is None or spec.origin is None:
        raise ClampdownError(
            "PyRIT is not installed, so its prompt is not at hand; pip install 'clampdown[redteam]', or name a file"
        )
    return Path(spec.origin).parent / "datasets" / "executors"


def _yaml(path: Path) -> str:
    import yaml

    try:
        body = yaml.safe_load(read_text(path))
    except RecursionError as error:
        raise ClampdownError(f"{path} is nested too deeply to be read; name another file") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that no calendar has, say
        raise ClampdownError(f"{path} is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(body, dict) or not isinstance(body.get("value"), str):
        raise ClampdownError(f"{path} has no text under `value`; name another file")
    return str(body["value"])
