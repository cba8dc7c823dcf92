"""Closed batches, and one answer as it comes: results that depend on nothing that runs beside."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from clampdown.engine.blocks import Below
from clampdown.engine.engine import Engine
from clampdown.engine.local import LocalEngine
from clampdown.engine.prefill import in_order, opened, read_together
from clampdown.engine.prefilled import Opened
from clampdown.engine.request import Answer, Request, Sampling, all_answered
from clampdown.engine.running import Row, Running, seed_at
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.speech import Speech
from clampdown.recipe import Recipe


def generate(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    recipes: Sequence[Recipe | None],
    sampling: Sampling,
    below: Below | None = None,
    decisions: Sequence[bool | None] | None = None,
    draws: Sequence[int] | None = None,
    engine: Engine | None = None,
) -> list[Answer]:
    """Answers to rendered prompts (token ids), row r under recipes[r], as one batch.

    Args:
        below: shares the prompts' way through the lower blocks with whoever was asked the same just before.
        decisions: for each prompt what its recipe's gate decided, where that lies outside.
        draws: the place that each row is sampled for, where it is not its own in this batch; rows of one place draw
            alike.
        engine: an idle one that answers in place of this loop, under draws of its own; it shares nothing below.

    Raises:
        ClampdownError: prompts and answers do not fit the context, or a recipe does not fit the model.
        Unanswered: something was not finite for some rows, once the others are answered.
    """
    return all_answered(generate_apart(model, prompts, recipes, sampling, below, decisions, draws, engine))


def generate_apart(
    model: ChatModel,
    prompts: Sequence[Sequence[int]],
    recipes: Sequence[Recipe | None],
    sampling: Sampling,
    below: Below | None = None,
    decisions: Sequence[bool | None] | None = None,
    draws: Sequence[int] | None = None,
    engine: Engine | None = None,
) -> list[Answer]:
    """The same, but a row for which something was not finite says so in its answer's `error`."""
    if not prompts:
        return []
    told = [None] * len(prompts) if decisions is None else decisions
    requests = [
        Request(prompt, recipe, sampling, decision=decision)
        for prompt, recipe, decision in zip(prompts, recipes, told, strict=True)
    ]
    drawn = range(len(prompts)) if draws is None else draws
    if engine is not None:
        return _answered(engine, requests, drawn)
    return in_order(read_together(model, prompts), lambda places: _together(model, requests, places, below, drawn))


def _answered(engine: Engine, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
    """The answers of an engine to these requests, in their order."""
    free = engine.idle
    if not free:
        raise ClampdownError("the engine answers others at the moment; a closed batch needs one of its own")
    numbers: list[int] = []
    found: dict[int, Answer] = {}
    try:
        for request, place in zip(requests, draws, strict=True):
            sampling = replace(request.sampling, seed=seed_at(request.sampling, place))
            numbers.append(engine.submit(replace(request, sampling=sampling)))
        while not engine.idle:
            found |= {event.request: event.answer for event in engine.step() if event.answer is not None}
    finally:
        for number in numbers:
            engine.cancel(number)  # where something went wrong: nothing of it is left for the next batch
    return [found[number] for number in numbers]


def _together(
    model: ChatModel, requests: Sequence[Request], places: list[int], below: Below | None, draws: Sequence[int]
) -> list[Answer]:
    """The answers to the requests in these places, as one batch that nobody joins."""
    rows = [Row.of(requests[place], number, draws[place]) for number, place in enumerate(places)]
    some = [row.request for row in rows]
    room = max(request.sampling.max_new_tokens for request in some)
    prompts, recipes = [request.prompt for request in some], [request.recipe for request in some]
    decisions = [request.decision for request in some]
    with opened(model, prompts, recipes, room, below, roomy=True, apart=True, decisions=decisions) as begun:
        running = Running(model, begun, rows)
        while not running.over:
            running.step()
    return running.answers(rows)


def generate_until(
    model: ChatModel, begun: Opened, requests: Sequence[Request], over: Callable[[list[list[int]]], bool]
) -> list[list[int]]:
    """The token ids of answers to prompts that were read, until all have ended or are `over`: asked after each token.

    The batch keeps its shape, for callers whose results must not depend on when rows end. Rows for which something is
    not finite are in the steering's errors.
    """
    rows = [Row.of(request, number, number) for number, request in enumerate(requests)]
    running = Running(model, begun, rows, leave=False)
    while not running.over:
        running.step()
        if over([row.ids for row in rows]):
            break
    begun.steering.settle()
    return [row.ids for row in rows]


def stream(
    model: ChatModel,
    prompt: Sequence[int],
    recipe: Recipe | None,
    sampling: Sampling,
    write: Callable[[str], None],
    decision: bool | None = None,
    over: Callable[[str], bool] = lambda text: False,
    engine: Engine | None = None,
) -> Answer:
    """The same for one prompt, handing each piece of text to `write` as soon as it is whole.

    Asked after each token with the text so far, `over` may end the answer there. engine: an idle one that answers, and
    not one of its own.
    """
    speech, engine = Speech(model, prompt), engine or LocalEngine(model)
    number = engine.submit(Request(prompt, recipe, sampling, decision=decision))
    answers: list[Answer] = []
    said = ""
    try:
        while not engine.idle:
            events = engine.step()
            for event in events:
                if event.token is not None and (piece := speech.add(event.token)) is not None:
                    write(piece)
                    said += piece
            answers += [event.answer for event in events if event.answer is not None]
            if not engine.idle and over(said) and (ended := engine.end(number)) is not None:
                answers.append(ended)
    finally:
        engine.cancel(number)  # where the user stopped it: an engine that goes on has others to answer
    [answer] = all_answered(answers)
    write(speech.rest())
    return answer
