"""POST /v1/completions: a plain text that is gone on with, or whose likelihood is asked."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from clampdown.engine.request import Chance
from clampdown.recipe import Recipe
from clampdown.serving.answers import Completion, CompletionChoice, Usage
from clampdown.serving.logprobs import completion_logprobs
from clampdown.serving.requests import CompletionRequest
from clampdown.serving.saying import Piece
from clampdown.serving.service import Answering, Echo, Order, Service
from clampdown.steering.receipt import joined

_TOKENS = 16
"""What is said where nothing else is asked, as OpenAI has it."""


def completion_order(service: Service, asked: CompletionRequest) -> Order:
    """What a plain text asks of the engine."""

    def render(prompt: str | list[int], _recipe: Recipe | None) -> Sequence[int]:
        if isinstance(prompt, str):
            return list(service.model.tokenizer(prompt).input_ids)
        return service.checked(prompt)

    return Order(
        model=asked.model,
        override=asked.clampdown,
        prompts=[partial(render, prompt) for prompt in asked.prompts],
        n=asked.n or 1,
        tokens=_TOKENS if asked.max_tokens is None else asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        stops=asked.stops,
        likeliest=asked.logprobs,
    )


async def completion_answer(answering: Answering, echoes: Sequence[Echo] = (), echo: bool = False) -> Completion:
    """The whole answer to plain texts, with their prompts where `echo`; `echoes` say how likely these were."""
    texts, chances = [""] * answering.choices, [list[Chance]() for _ in range(answering.choices)]
    async for event in answering.events():
        if isinstance(event, Piece):
            texts[event.choice] += event.text
            chances[event.choice] += event.chances
    model, order = answering.service.model, answering.order
    choices, receipts = [], []
    for choice in range(answering.choices):
        number = choice // order.n
        told: list[Chance | int] = list(chances[choice])
        receipt, before = answering.ends[choice].receipt, ""
        if echo:
            before = str(model.tokenizer.decode(answering.prompts[number]))
        if echoes:
            told = [echoes[number].ids[0], *echoes[number].chances, *told]
            receipt = joined([echoes[number].receipt, receipt])
        offset = 0 if echoes else len(before)
        choices.append(
            CompletionChoice(
                index=choice,
                text=before + texts[choice],
                logprobs=None if order.likeliest is None else completion_logprobs(model, told, offset),
                finish_reason=answering.ends[choice].reason,
            )
        )
        receipts.append(receipt)
    made = _completion(answering, choices)
    made.usage, made.clampdown = answering.usage, answering.steered(receipts)
    return made


def scored_answer(answering: Answering, echoes: Sequence[Echo]) -> Completion:
    """Prompts that nobody goes on with, and how likely they were."""
    model = answering.service.model
    choices = [
        CompletionChoice(
            index=number,
            text=str(model.tokenizer.decode(echo.ids)),
            logprobs=completion_logprobs(model, [echo.ids[0], *echo.chances], 0),
            finish_reason="length",
        )
        for number, echo in enumerate(echoes)
    ]
    made, read = _completion(answering, choices), sum(len(echo.ids) for echo in echoes)
    made.usage = Usage(prompt_tokens=read, completion_tokens=0, total_tokens=read)
    made.clampdown = answering.steered([echo.receipt for echo in echoes])
    return made


async def completion_chunks(answering: Answering, usage: bool) -> AsyncIterator[Completion]:
    """The answer as it is said; the receipts come in the last chunk, with the usage where that is asked for."""
    model, asks = answering.service.model, answering.order.likeliest is not None
    offsets = [0] * answering.choices

    def chunk(*choices: CompletionChoice) -> Completion:
        made = _completion(answering, list(choices))
        if usage:
            made.usage = None
        return made

    async for event in answering.events():
        if isinstance(event, Piece):
            told = completion_logprobs(model, event.chances, offsets[event.choice]) if asks else None
            offsets[event.choice] += len(event.text)
            yield chunk(CompletionChoice(index=event.choice, text=event.text, logprobs=told))
        else:
            last = chunk(CompletionChoice(index=event.choice, text="", finish_reason=event.reason))
            if len(answering.ends) == answering.choices and not usage:
                last.clampdown = answering.steered()
            yield last
    if usage:
        last = chunk()
        last.usage, last.clampdown = answering.usage, answering.steered()
        yield last


def _completion(answering: Answering, choices: list[CompletionChoice]) -> Completion:
    return Completion(
        id=f"cmpl-{answering.id}",
        created=answering.created,
        model=answering.order.model,
        system_fingerprint=answering.service.fingerprint,
        choices=choices,
    )
