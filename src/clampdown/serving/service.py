"""From what a request asks to what comes of it: checked, submitted to the engine, and heard as it is said."""

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from clampdown.engine.echoing import passage_parts
from clampdown.engine.engine import Engine
from clampdown.engine.request import Chance, Request, Sampling
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import user_turns
from clampdown.recipe import Recipe
from clampdown.serving.activations import Activations, ActivationsRequest, activations
from clampdown.serving.answers import Steered, Usage
from clampdown.serving.limits import Limits
from clampdown.serving.loop import EngineLoop, Listener, Ticket
from clampdown.serving.metrics import Metrics
from clampdown.serving.refusals import Refusal
from clampdown.serving.requests import Override
from clampdown.serving.saying import End, Piece, Saying
from clampdown.serving.shelf import Shelf
from clampdown.steering.positions import check_told
from clampdown.steering.receipt import Receipt

Render = Callable[[Recipe | None], Sequence[int]]
"""Makes a prompt's token ids under a recipe, whose system prompt may be part of it."""
_APART = 0x9E3779B97F4A7C15
"""Keeps the draws of several choices with one seed apart."""


@dataclass(frozen=True)
class Order:
    """What one request asks: `n` choices for each prompt, numbered prompt by prompt."""

    model: str
    override: Override | None
    prompts: Sequence[Render]
    n: int = 1
    tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stops: Sequence[str] = ()
    likeliest: int | None = None


@dataclass
class Echo:
    """A prompt that was scored under a recipe.

    Attributes:
        chances: of its tokens but the first. after: the likeliest that may follow.
    """

    recipe: Recipe | None
    ids: Sequence[int]
    chances: list[Chance]
    after: list[tuple[int, float]]
    receipt: Receipt


@dataclass
class Answering:
    """What comes of an order. `close` it, whatever happens.

    Attributes:
        prompts: the token ids of each.
        ends: of the choices that are over, by number.
    """

    order: Order
    service: "Service"
    recipe: Recipe | None = None
    prompts: list[Sequence[int]] = field(default_factory=list)
    ends: dict[int, End] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    began: float = field(default_factory=time.monotonic)
    heard: "asyncio.Queue[Piece | End | Exception]" = field(default_factory=asyncio.Queue)
    ticket: Ticket | None = None
    closed: bool = False

    @property
    def choices(self) -> int:
        return len(self.order.prompts) * self.order.n

    async def events(self) -> AsyncIterator[Piece | End]:
        """What is said, until all choices are over.

        Raises:
            Refusal: an answer is not finite under its recipe, or took too long. Whatever the engine failed of.
        """
        first = True
        while len(self.ends) < self.choices:
            left = self.service.limits.seconds - (time.monotonic() - self.began)
            async with asyncio.timeout(max(left, 0)):
                event = await self.heard.get()
            if isinstance(event, Exception):
                raise event
            if first and isinstance(event, Piece) and event.text:
                first = False
                self.service.metrics.first.observe(time.monotonic() - self.began)
            if isinstance(event, End):
                if event.error:
                    raise Refusal(400, event.error, code="not_finite")
                self.ends[event.choice] = event
                self.service.count(self.order.model, event)
            yield event

    @property
    def usage(self) -> Usage:
        read, said = sum(map(len, self.prompts)), sum(end.tokens for end in self.ends.values())
        return Usage(prompt_tokens=read, completion_tokens=said, total_tokens=read + said)

    def steered(self, receipts: Sequence[Receipt] | None = None) -> Steered:
        told = [self.ends[choice].receipt for choice in sorted(self.ends)] if receipts is None else receipts
        recipe = self.recipe
        return Steered(
            recipe=recipe.name if recipe else "",
            recipe_sha256=recipe.sha256 if recipe else "",
            receipts=[receipt.to_dict() for receipt in told],
        )

    def close(self) -> None:
        """Drop what is not over, and make room for others."""
        if self.closed:
            return
        self.closed = True
        self.service.taken -= self.choices
        if self.ticket is not None and len(self.ends) < self.choices:
            self.service.loop.cancel(self.ticket)


class Service:
    """A model, its recipes, and the loop that answers.

    Attributes:
        taken: answers that are promised and not over.
        log_prompts: whether the log holds what models are asked, as they read it.
        frontier: what a study found, as `GET /v1/clampdown/frontier` tells it; None without one.
    """

    def __init__(
        self,
        model: ChatModel,
        shelf: Shelf,
        engine: Engine,
        limits: Limits,
        *,
        log_prompts: bool = False,
        frontier: Mapping[str, Any] | None = None,
    ) -> None:
        self.frontier = frontier
        self.model, self.shelf, self.limits, self.log_prompts = model, shelf, limits, log_prompts
        self.loop = EngineLoop(engine)
        self.metrics = Metrics(self.loop)
        self.began = int(time.time())
        self.taken = 0
        self.fingerprint = model.sha256[:12]
        self._tokens = int(model.hf.get_input_embeddings().weight.shape[0])

    def room(self, order: Order) -> Answering:
        """Make room for an order, or refuse it.

        Raises:
            Refusal: it asks for more than the limits allow, names an unknown model, or there is no room now.
        """
        self._check(order)
        answering = Answering(order, self)
        if self.taken + answering.choices > self.limits.answers:
            if answering.choices > self.limits.answers:
                raise Refusal(400, f"a request may ask for {self.limits.answers} answers in all", param="n")
            again = {"Retry-After": str(self.limits.retry_after)}
            raise Refusal(429, "too many answers are under way; come again", code="rate_limit_exceeded", headers=again)
        self.taken += answering.choices
        return answering

    async def begin(self, order: Order) -> Answering:
        """Submit an order; what comes of it is heard from then on.

        Raises:
            Refusal, ClampdownError: it can't be honoured as it is; nothing of it runs.
        """
        answering = self.room(order)
        loop = asyncio.get_running_loop()

        def tell(event: Piece | End | Exception) -> None:
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(answering.heard.put_nowait, event)

        try:
            async with asyncio.timeout(self.limits.seconds):
                answering.ticket = await self.loop.submit(lambda: self._made(answering, tell))
        except BaseException:
            answering.close()
            raise
        return answering

    async def echo(self, order: Order) -> list[Echo]:
        """The prompts of an order, scored one by one, not answered.

        Raises:
            Refusal, ClampdownError: it can't be honoured as it is.
        """
        answering = self.room(order)
        try:
            async with asyncio.timeout(self.limits.seconds):
                return [await self.loop.do_in_parts(partial(self._echo, order, render)) for render in order.prompts]
        finally:
            answering.close()

    async def activations(self, asked: ActivationsRequest) -> Activations:
        """What a recipe's latents do in a text, and what its gate says.

        Raises:
            Refusal, ClampdownError: as `begin` does.
        """
        order = Order(asked.model, asked.clampdown, [partial(asked.ids, self.model)])
        answering = self.room(order)

        def job() -> Activations:
            recipe = self.shelf.under(order.model, order.override)
            answer = None if asked.answer is None else asked.read_after(self.model)
            ids = self._rendered(order.prompts[0], recipe, len(answer or ()))
            return activations(self.model, ids, recipe, answer)

        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self.loop.do(job)
        finally:
            answering.close()

    def count(self, model: str, end: End) -> None:
        """Note an answer for Prometheus."""
        self.metrics.tokens.labels(model, "said").inc(end.tokens)
        if end.receipt.gate:
            self.metrics.gates.labels(model, end.receipt.gate).inc()

    def checked(self, ids: Sequence[int]) -> Sequence[int]:
        """Token ids as a client gave them. Raises Refusal where the model has no such token."""
        if not all(0 <= token < self._tokens for token in ids):
            raise Refusal(400, f"token ids must be whole numbers from 0 to {self._tokens - 1}", param="prompt")
        return ids

    def _check(self, order: Order) -> None:
        limits = self.limits
        self.shelf.named(order.model)
        for told, given, most in (
            ("n", order.n, limits.n),
            ("prompt", len(order.prompts), limits.prompts),
            ("max_tokens", order.tokens or 0, limits.answer_tokens),
            ("stop", len(order.stops), limits.stops),
            ("stop", max(map(len, order.stops), default=0), limits.stop_length),
        ):
            if given > most:
                raise Refusal(400, f"{told} asks for {given}; this server allows {most}", code="limit", param=told)

    def _made(
        self, answering: Answering, tell: Callable[[Piece | End | Exception], None]
    ) -> list[tuple[Request, Listener]]:
        """An order's requests, each with who listens. On the engine's thread."""
        order = answering.order
        recipe = answering.recipe = self.shelf.under(order.model, order.override)
        answering.prompts = [self._rendered(render, recipe, order.tokens) for render in order.prompts]
        seed = secrets.randbits(62) if order.seed is None else order.seed
        temperature = 1.0 if order.temperature is None else order.temperature
        spare = order.override is not None and order.override.spare is not None
        found: list[tuple[Request, Listener]] = []
        for number, prompt in enumerate(answering.prompts):
            room = min(self.limits.answer_tokens, self.model.context_length - len(prompt))
            self.metrics.tokens.labels(order.model, "read").inc(len(prompt))
            for one in range(order.n):
                sampling = Sampling(
                    room if order.tokens is None else order.tokens,
                    temperature,
                    (seed + one * _APART) % 2**63,
                    1.0 if order.top_p is None else order.top_p,
                )
                saying = Saying(self.model, prompt, number * order.n + one, order.stops, tell)
                found.append((Request(prompt, recipe, sampling, likeliest=order.likeliest, spare=spare), saying))
        return found

    def _echo(self, order: Order, render: Render) -> Generator[None, None, Echo]:
        recipe = self.shelf.under(order.model, order.override)
        if order.override is not None and order.override.spare:
            raise Refusal(400, "spare goes with what is answered, and an echo is not; leave it out", param="clampdown")
        ids = self._rendered(render, recipe, 0)
        check_told([recipe], [user_turns(ids)])
        self.metrics.tokens.labels(order.model, "read").inc(len(ids))
        read = yield from passage_parts(self.model, ids, recipe, order.likeliest or 0)
        return Echo(recipe, ids, *read)

    def _rendered(self, render: Render, recipe: Recipe | None, tokens: int | None) -> Sequence[int]:
        """A prompt's ids, where they leave room for an answer of so many tokens, or of one at least."""
        ids = render(recipe)
        room = self.model.context_length - (1 if tokens is None else tokens)
        most = min(self.limits.prompt_tokens, room)
        if len(ids) > most:
            told = f"the prompt has {len(ids)} tokens; with the answer that is asked for, {most} fit here"
            raise Refusal(400, f"{told}: shorten either", code="context_length_exceeded", param="messages")
        return ids
