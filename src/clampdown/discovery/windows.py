"""Windows of positions by short names, as a search tries them: all, all+8, last+14, last+8~6."""

import re

from clampdown.errors import ClampdownError
from clampdown.recipe import Positions

WINDOWS = ("all", "all+8", "all+14", "last+14")
"""Those that a search tries. A clamp that is held for ever ("all", the paper's) often says one sentence without end."""

_NAME = re.compile(r"(all|user|last|none)(?:\+([0-9]{1,9})(?:~([0-9]{1,9}))?)?")


def window(name: str, sink_norm: float | None = None) -> Positions:
    """The positions of a window: which of the prompt, then the first how many of the answer, fading over how many more.

    Without a number the whole answer is edited. Sinks never are.

    Raises:
        ClampdownError: the name is none of a window, or its window is empty.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ClampdownError(
            f"the window must be such as all (everything), all+8 (the prompt and the first 8 tokens of the answer), "
            f"last+14 or last+8~6 (fading over 6 more), got {name[:40]!r}"
        )
    prompt, first, fade = match.groups()
    return Positions(
        sink_norm=sink_norm, prompt=prompt, generated="all" if first is None else int(first), fade=int(fade or 0)
    )
