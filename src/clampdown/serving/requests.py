"""What clients ask: the bodies of OpenAI's requests, and `clampdown`, our own part of them.

What would change an answer and is not offered here is refused unless it asks for nothing; a key that nobody knows is
refused too, for it may be a steering with a slip in its name.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Body(BaseModel):
    """Anything that a client sends: its keys are known, and its numbers are numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _written(cls, given: Any) -> Any:
        """JSON can say halves of characters, which no tokenizer takes and no answer could repeat."""
        if isinstance(given, bytes):
            raise ValueError("it is not sent as JSON; say Content-Type: application/json")
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            raise ValueError("it holds half a character, or is nested too deeply; write it out in UTF-8") from None
        return given


class Window(Body):
    """Which positions are edited, as [positions] of a recipe says it."""

    prompt: Literal["all", "user", "last", "none"] = "all"
    generated: Literal["all", "none"] | Annotated[int, Field(ge=0)] = "all"
    fade: Annotated[int, Field(ge=0)] = 0
    sinks: bool = False


class Override(Body):
    """Changes, for one request, to the recipe that its model's name stands for."""

    recipe: dict[str, Any] | None = Field(
        None,
        description="a recipe's file as JSON, in place of the named one; its clamps name SAEs, and its gate the sha256 "
        "of a gate, that are loaded already",
    )
    factor: Annotated[Finite, Field(ge=-100, le=100)] | None = Field(
        None, description="the clamps' values times this; without a clamp, the directions' strengths"
    )
    threshold: Finite | None = Field(None, description="the score from which the gate opens")
    decide: Literal["score", "open", "shut", "watch"] | None = Field(None, description="force the gate, or only watch")
    spare: Literal["tool-calls"] | None = Field(
        None, description="leave what the answer says in a tool's call unedited, whatever the window; the receipt tells"
    )
    window: Annotated[str, Field(max_length=40)] | Window | None = Field(
        None, description='positions, such as "all", "all+8", "last+14", "last+8~6"'
    )


class StreamOptions(Body):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Sampled(Body):
    """What requests for chats and for plain text have in common."""

    model: Annotated[str, Field(max_length=500)]
    temperature: Annotated[Finite, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Finite, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: Finite | None = None
    frequency_penalty: Finite | None = None
    logit_bias: dict[str, Any] | None = None
    # These change no answer, and are not looked at.
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    clampdown: Override | None = None

    @model_validator(mode="after")
    def _offered(self) -> "_Sampled":
        for name in ("presence_penalty", "frequency_penalty", "logit_bias", *self._not_offered()):
            if getattr(self, name):
                raise ValueError(f"{name} is not offered here; leave it out")
        if self.stream_options and not self.stream:
            raise ValueError("stream_options goes with stream")
        return self

    def _not_offered(self) -> tuple[str, ...]:
        return ()

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


class TextPart(Body):
    type: Literal["text"]
    text: str


class ChatMessage(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None
    name: Any = None  # changes nothing
    refusal: Any = None

    def plain(self) -> dict[str, str]:
        """As our chat templates take it."""
        content = self.content
        text = content if isinstance(content, str) else "".join(part.text for part in content or ())
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class ChatRequest(_Sampled):
    """The body of POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: Any = None
    response_format: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "ChatRequest":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs goes with logprobs")
        if self.response_format not in (None, {"type": "text"}):
            raise ValueError("response_format is not offered here, but for text; leave it out")
        if self.tool_choice not in (None, "none", "auto"):
            raise ValueError("tool_choice is not offered here; leave it out")
        return self

    def _not_offered(self) -> tuple[str, ...]:
        return ("tools",)

    @property
    def tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def likeliest(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(_Sampled):
    """The body of POST /v1/completions."""

    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    best_of: Literal[1] | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "CompletionRequest":
        if self.max_tokens == 0 and (not self.echo or self.logprobs is None):
            raise ValueError("max_tokens may be 0 only where echo and logprobs ask how likely the prompt is")
        if self.echo and self.stream:
            raise ValueError("echo is not streamed here; leave out either")
        if not self.prompts or not all(self.prompts):
            raise ValueError("the prompt is empty; say something")
        return self

    def _not_offered(self) -> tuple[str, ...]:
        return ("suffix",)

    @property
    def prompts(self) -> list[str | list[int]]:
        """Texts, or token ids, of one prompt each."""
        given = self.prompt
        if isinstance(given, str):
            return [given]
        if given and isinstance(given[0], int):
            return [[token for token in given if isinstance(token, int)]]
        return [item for item in given if not isinstance(item, int)]
