"""POST /v1/chat/completions: a conversation, answered by the assistant."""

from collections.abc import AsyncIterator, Sequence

from clampdown.engine.request import Chance
from clampdown.recipe import Recipe
from clampdown.recipe.system import system_text
from clampdown.serving.answers import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    Delta,
)
from clampdown.serving.logprobs import chat_logprobs
from clampdown.serving.refusals import Refusal
from clampdown.serving.requests import ChatRequest
from clampdown.serving.saying import End, Piece
from clampdown.serving.service import Answering, Order, Service


def chat_order(service: Service, asked: ChatRequest) -> Order:
    """What a chat asks of the engine. Raises Refusal where nothing was said."""
    messages = [message.plain() for message in asked.messages]
    if not any(message["content"].strip() for message in messages):
        raise Refusal(400, "the prompt is empty; say something", code="invalid_value", param="messages")
    first, rest = ("", messages) if messages[0]["role"] != "system" else (messages[0]["content"], messages[1:])
    if not rest:
        raise Refusal(400, "there is a system prompt and nothing to answer; add a user's turn", param="messages")

    def render(recipe: Recipe | None) -> Sequence[int]:
        return service.model.prompt_ids(rest, system=system_text(recipe, first), room=1)

    return Order(
        model=asked.model,
        override=asked.clampdown,
        prompts=[render],
        n=asked.n or 1,
        tokens=asked.tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        stops=asked.stops,
        likeliest=asked.likeliest,
    )


async def chat_answer(answering: Answering) -> ChatCompletion:
    """The whole answer to a chat."""
    texts, chances = [""] * answering.choices, [list[Chance]() for _ in range(answering.choices)]
    async for event in answering.events():
        if isinstance(event, Piece):
            texts[event.choice] += event.text
            chances[event.choice] += event.chances
    model, asks = answering.service.model, answering.order.likeliest is not None
    choices = [
        ChatChoice(
            index=choice,
            message=AssistantMessage(content=texts[choice]),
            logprobs=chat_logprobs(model, chances[choice]) if asks else None,
            finish_reason=answering.ends[choice].reason,
        )
        for choice in range(answering.choices)
    ]
    return ChatCompletion(
        id=f"chatcmpl-{answering.id}",
        created=answering.created,
        model=answering.order.model,
        system_fingerprint=answering.service.fingerprint,
        choices=choices,
        usage=answering.usage,
        clampdown=answering.steered(),
    )


async def chat_chunks(answering: Answering, usage: bool) -> AsyncIterator[ChatChunk]:
    """An answer to a chat as it is said; receipts come in the last chunk, with the usage where that is asked for."""
    model, asks = answering.service.model, answering.order.likeliest is not None

    def chunk(*choices: ChatChunkChoice) -> ChatChunk:
        made = ChatChunk(
            id=f"chatcmpl-{answering.id}",
            created=answering.created,
            model=answering.order.model,
            system_fingerprint=answering.service.fingerprint,
            choices=list(choices),
        )
        if usage:
            made.usage = None
        return made

    for choice in range(answering.choices):
        yield chunk(ChatChunkChoice(index=choice, delta=Delta(role="assistant", content="")))
    async for event in answering.events():
        if isinstance(event, Piece):
            told = chat_logprobs(model, event.chances) if asks else None
            yield chunk(ChatChunkChoice(index=event.choice, delta=Delta(content=event.text), logprobs=told))
        else:
            last = chunk(_end(event))
            if len(answering.ends) == answering.choices and not usage:
                last.clampdown = answering.steered()
            yield last
    if usage:
        last = chunk()
        last.usage, last.clampdown = answering.usage, answering.steered()
        yield last


def _end(event: End) -> ChatChunkChoice:
    return ChatChunkChoice(index=event.choice, delta=Delta(), finish_reason=event.reason)
