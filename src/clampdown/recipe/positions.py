"""The windows of a recipe: which positions of the sequence are edited."""

from dataclasses import InitVar, dataclass
from typing import Any

from clampdown.recipe.checks import is_finite, is_whole, require, shown

PROMPT_WINDOWS = ("all", "user", "last", "none")
SCOPES: dict[str, tuple[str, str, bool]] = {
    "all-but-sinks": ("all", "all", False),
    "all": ("all", "all", True),
    "generated": ("none", "all", False),
    "first-generated": ("none", "all", False),  # the first `count`
    "from-last-prompt-token": ("last", "all", False),
}
"""The window on the prompt, that on the answer, and whether sinks are edited, by the name of earlier versions."""
KEYS = {"scope", "count", "prompt", "generated", "fade", "sinks", "sink_norm"}


@dataclass(frozen=True)
class Positions:
    """Which positions of the sequence are edited: a window on the prompt and one on the answer. Padding never is.

    Attributes:
        sink_norm: a position whose residual is longer counts as an attention sink.
        prompt: "all" of the prompt's tokens, those of the "user" (the contents of user turns, without the template's
            marks and the system prompt, so only where a chat is rendered), the "last" one, or "none". The first answer
            token is decided at the last.
        generated: "all" of the answer's tokens, the first so many, or "none".
        fade: after the first `generated` tokens the weight of Δ falls linearly over so many more: at the i-th of them
            it is 1 − i / (fade + 1).
        sinks: edit attention sinks as well: the first position, and those beyond `sink_norm`.

    Earlier versions named five of these windows by a `scope`, which is still read, and written where it says the same:
    all-but-sinks (everything, the default), all (sinks too), generated, first-generated (the first `count`),
    from-last-prompt-token.
    """

    scope: InitVar[str | None] = None
    count: InitVar[int | None] = None
    sink_norm: float | None = None
    prompt: str = "all"
    generated: str | int = "all"
    fade: int = 0
    sinks: bool = False

    def __post_init__(self, scope: str | None, count: int | None) -> None:
        if scope is not None or count is not None:
            self._set_scope(scope, count)
        require(
            self.prompt in PROMPT_WINDOWS,
            f"prompt must be one of {', '.join(PROMPT_WINDOWS)}, got {shown(self.prompt)}",
        )
        number = isinstance(self.generated, int) and is_whole(self.generated) and self.generated >= 0
        require(
            number or self.generated in ("all", "none"),
            f"generated must be all, none or a whole number from 1, got {shown(self.generated)}",
        )
        if number and not self.generated:
            object.__setattr__(self, "generated", "none")
        require(is_whole(self.fade) and self.fade >= 0, f"fade must be a whole number from 0, got {shown(self.fade)}")
        require(
            not self.fade or isinstance(self.generated, int),
            "fade goes with a number of generated tokens, after which it begins",
        )
        require(isinstance(self.sinks, bool), f"sinks must be true or false, got {shown(self.sinks)}")
        require((self.prompt, self.generated) != ("none", "none"), "a window on nothing edits nothing; widen it")
        sink = self.sink_norm
        require(
            sink is None or (is_finite(sink) and sink > 0), f"sink_norm must be a positive number, got {shown(sink)}"
        )
        object.__setattr__(self, "sink_norm", sink if sink is None else float(sink))

    def _set_scope(self, scope: str | None, count: int | None) -> None:
        scope = "all-but-sinks" if scope is None else scope
        known = isinstance(scope, str) and scope in SCOPES
        require(known, f"scope must be one of {', '.join(SCOPES)}, got {shown(scope)}")
        wants = scope == "first-generated"
        require(wants == (count is not None), "count goes with the scope first-generated, and only with it")
        require(count is None or (is_whole(count) and count > 0), "count must be a whole number from 1")
        window = (self.prompt, self.generated, self.fade, self.sinks)
        require(window == ("all", "all", 0, False), "give either a scope, or prompt, generated, fade and sinks")
        prompt, generated, sinks = SCOPES[scope]
        for name, value in (("prompt", prompt), ("generated", count or generated), ("sinks", sinks)):
            object.__setattr__(self, name, value)

    @property
    def everywhere(self) -> bool:
        """Whether prompt and answer are edited alike, so that nobody need tell them apart."""
        return (self.prompt, self.generated) == ("all", "all")

    def to_dict(self) -> dict[str, Any]:
        """The keys of [positions]: as a scope where one says it, so that equal windows have equal hashes."""
        window, first = (self.prompt, self.generated, self.sinks), isinstance(self.generated, int)
        named = [scope for scope, meant in SCOPES.items() if meant == window and not self.fade]
        if first and (self.prompt, self.fade, self.sinks) == ("none", 0, False):
            body: dict[str, Any] = {"scope": "first-generated", "count": self.generated}
        elif named:
            body = {"scope": named[0]}
        else:
            body = {"prompt": self.prompt, "generated": self.generated}
            body |= {key: value for key in ("fade", "sinks") if (value := getattr(self, key))}
        return body if self.sink_norm is None else body | {"sink_norm": self.sink_norm}

    def __str__(self) -> str:
        """In words, such as "prompt all, the first 8 generated, but attention sinks"."""
        answer = {"all": "all generated", "none": "none generated"}.get(
            str(self.generated), f"the first {self.generated} generated"
        )
        fade = f", fading over {self.fade} more" if self.fade else ""
        prompt = {
            "all": "all of the prompt",
            "user": "what the user says",
            "last": "the prompt's last token",
            "none": "nothing of the prompt",
        }
        where = "everywhere" if self.everywhere else f"{prompt[self.prompt]}, {answer}{fade}"
        limit = "" if self.sink_norm is None else f" (beyond {self.sink_norm:g})"
        return where + ("" if self.sinks else f", but attention sinks{limit}")
