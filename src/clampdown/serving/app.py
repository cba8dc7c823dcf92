"""The application: its routes, and the door before them."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from clampdown import __version__
from clampdown.errors import ClampdownError
from clampdown.serving.activations import Activations, ActivationsRequest
from clampdown.serving.answers import ChatCompletion, Completion, ServedModel, ServedModels
from clampdown.serving.bodies import StrictRoute
from clampdown.serving.chat import chat_answer, chat_chunks, chat_order
from clampdown.serving.completions import completion_answer, completion_chunks, completion_order, scored_answer
from clampdown.serving.guard import Guard
from clampdown.serving.pages import add_pages
from clampdown.serving.refusals import Refusal, refuse
from clampdown.serving.requests import ChatRequest, CompletionRequest, StreamOptions
from clampdown.serving.service import Answering, Service
from clampdown.serving.shelf import told_of
from clampdown.serving.streaming import EventStream, heard_by
from clampdown.serving.whole import frontier, whole

_EXTRA = {"usage", "clampdown"}
"""What most chunks of a stream don't hold."""


def build_app(service: Service, *, key: str = "", hosts: Collection[str] = ()) -> FastAPI:
    """The API of a service; its engine runs while the application does. See `Guard` for key and hosts."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.loop.start()
        yield
        await anyio.to_thread.run_sync(service.loop.stop)

    # FastAPI's own docs pages take scripts from elsewhere; see `pages` for ours.
    app = FastAPI(title="Clampdown", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.router.route_class = StrictRoute
    app.add_middleware(Guard, key=key, hosts=hosts, limits=service.limits, metrics=service.metrics)
    for kind in (Refusal, ClampdownError, RequestValidationError, HTTPException, TimeoutError):
        app.add_exception_handler(kind, refuse)
    _add_answers(app, service)
    _add_facts(app, service)
    add_pages(app)
    return app


def _add_answers(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions", response_model=ChatCompletion)
    async def chat_completions(asked: ChatRequest, request: Request) -> Any:
        """A chat's answer, with a receipt of what steering did; as server-sent events where `stream`."""
        answering = await heard_by(request, service.begin(chat_order(service, asked)))
        _note(request, answering)
        if asked.stream:
            return EventStream(answering, chat_chunks(answering, _usage(asked.stream_options)), leave_out=_EXTRA)
        try:
            return JSONResponse((await heard_by(request, chat_answer(answering))).model_dump())
        finally:
            answering.close()

    @app.post("/v1/completions", response_model=Completion)
    async def completions(asked: CompletionRequest, request: Request) -> Any:
        """A plain text gone on with; with `echo` and `logprobs`, how likely it was itself."""
        order = completion_order(service, asked)
        scored = bool(asked.echo) and asked.logprobs is not None
        echoes = await heard_by(request, service.echo(order)) if scored else []
        if asked.max_tokens == 0:
            read = Answering(order, service, recipe=echoes[0].recipe, prompts=[echo.ids for echo in echoes])
            _note(request, read)
            return JSONResponse(scored_answer(read, echoes).model_dump())
        answering = await heard_by(request, service.begin(order))
        _note(request, answering)
        if asked.stream:
            return EventStream(answering, completion_chunks(answering, _usage(asked.stream_options)), leave_out=_EXTRA)
        try:
            made = await heard_by(request, completion_answer(answering, echoes, bool(asked.echo)))
            return JSONResponse(made.model_dump())
        finally:
            answering.close()

    @app.post("/v1/clampdown/activations", response_model=Activations)
    async def latents(asked: ActivationsRequest, request: Request) -> Any:
        """What the latents that a recipe clamps do in a text, token by token, and what its gate says of it."""
        return JSONResponse((await heard_by(request, service.activations(asked))).model_dump())


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", response_model=ServedModels)
    async def models() -> ServedModels:
        """The model's names: unsteered, and under each recipe."""
        return ServedModels(data=[ServedModel(id=name, created=service.began) for name in service.shelf.names])

    @app.get("/v1/models/{name:path}", response_model=ServedModel)
    async def model(name: str) -> ServedModel:
        """One of them."""
        service.shelf.named(name)
        return ServedModel(id=name, created=service.began)

    @app.get("/v1/clampdown/recipes")
    async def recipes() -> dict[str, Any]:
        """What each recipe does, by the model's name that stands for it."""
        shelf = service.shelf
        return {f"{shelf.name}:{called}": told_of(recipe) for called, recipe in shelf.recipes.items()}

    @app.get("/v1/clampdown/recipes/{name:path}")
    async def recipe(name: str) -> dict[str, Any]:
        """One of them whole, as a request may bring it back inline, with what is known of its latents."""
        return whole(service.shelf, name)

    @app.get("/v1/clampdown/frontier")
    async def found() -> dict[str, Any]:
        """The frontier of the operator's study: charts as SVG, and each point's recipe."""
        return frontier(service)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """That this server lives."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        """That it takes requests: all recipes and gates have passed their self-tests before anything listens."""
        if not service.loop.running:
            raise Refusal(503, "this server takes no requests now", code="not_ready")
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.text(), media_type=service.metrics.media_type)


def _usage(options: StreamOptions | None) -> bool:
    return bool(options and options.include_usage)


def _note(request: Request, answering: Answering) -> None:
    """For the log, which holds nothing that was said unless the operator asks for the prompts."""
    steered = answering.recipe.sha256[:12] if answering.recipe else ""
    read = sum(map(len, answering.prompts))
    facts = request.scope.setdefault("state", {})["facts"] = {
        "model": answering.order.model,
        "recipe": steered,
        "prompt_tokens": read,
        "answers": answering.choices,
    }
    if answering.service.log_prompts:
        facts["prompts"] = [str(answering.service.model.tokenizer.decode(ids)) for ids in answering.prompts]
