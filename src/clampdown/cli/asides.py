"""What is said beside an answer: its receipt, and where a system prompt went."""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clampdown.engine.request import Answer
    from clampdown.library import Model


def note_system(model: "Model") -> None:
    """Say where a system prompt goes that the chat template has no place for."""
    if model.chat.system_as_user:
        said = f"the chat template of {model.name} has no place for a system prompt, so it opens the user's turn"
        print(dim(said, sys.stderr), file=sys.stderr)


def receipt(answer: "Answer", tokens: int) -> str:
    """What steering did, and that the answer was cut, if it was."""
    return str(answer.receipt) + ("" if answer.finished else f" · cut at {tokens} tokens")


def dim(text: str, stream: Any) -> str:
    """Pale on a terminal, plain elsewhere."""
    return f"\x1b[2m{text}\x1b[0m" if stream.isatty() and not os.environ.get("NO_COLOR") else text
