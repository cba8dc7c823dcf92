"""What clients are told: the bodies of OpenAI's answers and stream chunks, with `clampdown`, our own part of them."""

from typing import Any, Literal

from pydantic import BaseModel, model_serializer

Reason = Literal["stop", "length"]


class Steered(BaseModel):
    """What was done to the model: the recipe (empty where it was unsteered), and a receipt for each choice."""

    recipe: str
    recipe_sha256: str
    receipts: list[dict[str, Any]]


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None = None


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: Reason


class _Answer(BaseModel):
    id: str
    created: int
    model: str
    system_fingerprint: str


class ChatCompletion(_Answer):
    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]
    usage: Usage
    clampdown: Steered


class Delta(BaseModel):
    """What a chunk adds to a message; what it adds nothing to is left out."""

    role: Literal["assistant"] | None = None
    content: str | None = None

    @model_serializer
    def _added(self) -> dict[str, str]:
        return {name: told for name, told in (("role", self.role), ("content", self.content)) if told is not None}


class ChatChunkChoice(BaseModel):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: Reason | None = None


class ChatChunk(_Answer):
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    clampdown: Steered | None = None


class CompletionLogprobs(BaseModel):
    """Of each token; of a prompt's first one nothing is known."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] = []
    text_offset: list[int] = []


class CompletionChoice(BaseModel):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Reason | None = None


class Completion(_Answer):
    """An answer to a plain text, and a chunk of one."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[CompletionChoice]
    usage: Usage | None = None
    clampdown: Steered | None = None


class ServedModel(BaseModel):
    """One model's name: the model unsteered, or under a recipe."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "clampdown"


class ServedModels(BaseModel):
    object: Literal["list"] = "list"
    data: list[ServedModel]
