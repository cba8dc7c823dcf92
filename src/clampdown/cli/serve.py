"""`clampdown serve`: an OpenAI-compatible endpoint, steered as each request says."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.engines import check_engine, engine_named
from clampdown.cli.loading import load_model
from clampdown.cli.options import add_engine, add_model, command, positive
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import say
from clampdown.errors import ClampdownError
from clampdown.serving.limits import Limits

if TYPE_CHECKING:
    from clampdown.library import Model
    from clampdown.serving.service import Service

KEY = "CLAMPDOWN_API_KEY"
_EXAMPLE = """  clampdown serve                                  at http://127.0.0.1:8000/v1
  clampdown serve --recipes recipes --port 9000    more recipes, one a file
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d \\
    '{"model": "smollm2-135m-instruct:guarded", "messages": [{"role": "user", "content": "Hello!"}]}'"""
_COUNTS = {
    "rows": "answers said at once; further ones wait",
    "answers": "answers said or waiting; beyond, a request is told to come again",
    "prompt-tokens": "of one prompt",
    "answer-tokens": "of one answer, and where a request names no number",
    "n": "answers to one prompt",
    "prompts": "of one request for plain text",
    "stops": "texts that end an answer",
    "body": "bytes of a request",
    "reading": "seconds in which a request must have come whole",
    "seconds": "for one request",
}


def add_parser(subparsers: Any) -> None:
    said = (
        "Serve the model by an OpenAI-compatible API, with a page to try it on. A recipe is chosen by the model's "
        "name: MODEL is unsteered, MODEL:guarded is under the recipe guarded; a request may change it. Each answer "
        "comes with a receipt. Nothing listens before all recipes and gates have passed their self-tests."
    )
    parser = command(subparsers, "serve", "serve the model by an OpenAI-compatible API", said, _EXAMPLE)
    add_model(parser)
    add_engine(parser)
    parser.add_argument("--name", metavar="NAME", help="what the model is called there (default: as it was loaded)")
    parser.add_argument("--recipes", metavar="DIR", type=_folder, help="a folder of recipes; x.toml is MODEL:x")
    said = "a study's folder or database; the page draws its frontier and loads its points"
    parser.add_argument("--study", metavar="STUDY", type=Path, help=said)
    parser.add_argument("--no-overrides", action="store_true", help="recipes by name only: a request changes none")
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="address (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", metavar="P", type=_port, default=8000, help="0 takes a free one (default: 8000)")
    said = f"what clients must show; another address than this machine's demands one (default: that in {KEY})"
    parser.add_argument("--api-key", metavar="KEY", help=said)
    parser.add_argument("--log-prompts", action="store_true", help="log what the model is asked, too; never answers")
    limits = parser.add_argument_group("limits")
    for name, meant in _COUNTS.items():
        default = getattr(Limits, _field(name))
        limits.add_argument(f"--max-{name}", metavar="N", type=positive, help=f"{meant} (default: {default:,})")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        from clampdown.serving import run as server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in (
            "fastapi",
            "uvicorn",
            "starlette",
            "pydantic",
            "prometheus_client",
        ):
            raise
        raise ClampdownError(f"serving needs {error.name}; install it with: pip install 'clampdown[serve]'") from error
    key = args.api_key if args.api_key is not None else os.environ.get(KEY, "")
    server.check_address(args.host, key)
    check_engine(args)
    with ProgressBar() as progress:
        service = _service(args, load_model(args.model, args, progress), progress)
    server.log_to_stderr()
    say(f"{', '.join(service.shelf.names)}", aside=True)
    server.serve(
        service,
        host=args.host,
        port=args.port,
        key=key,
        listening=lambda url: say(f"listening at {url}/v1; the playground is at {url}; Ctrl-C ends it", aside=True),
    )
    return 0


def _service(args: argparse.Namespace, model: "Model", progress: ProgressBar) -> "Service":
    """The model and its recipes, self-tested."""
    from clampdown.library import known_latents
    from clampdown.recipe.bundled import bundled_path
    from clampdown.serving.service import Service
    from clampdown.serving.shelf import Shelf, recipes_in, recipes_that_come_along
    from clampdown.studies.frontier import read_frontier

    chat, limits = model.chat, _limits(args)
    chat.need_template()
    frontier = read_frontier(args.study) if args.study else None
    along, own = recipes_that_come_along(chat), recipes_in(args.recipes) if args.recipes else {}
    recipes = along | own
    files = {name: args.recipes / f"{name}.toml" if name in own else bundled_path(name) for name in recipes}
    latents = {name: known_latents(file) for name, file in files.items()}
    shelf = Shelf(chat, args.name or model.name, recipes, overrides=not args.no_overrides, latents=latents)
    progress("testing the recipes", 0, 0, "")
    shelf.check()
    return Service(
        chat,
        shelf,
        engine_named(args, chat, limits.rows, progress, keep=True),
        limits,
        log_prompts=args.log_prompts,
        frontier=frontier,
    )


def _limits(args: argparse.Namespace) -> Limits:
    given = {_field(name): getattr(args, f"max_{_field(name)}") for name in _COUNTS}
    return Limits(**{field: number for field, number in given.items() if number is not None})


def _field(name: str) -> str:
    """A limit as `Limits` calls it."""
    return name.replace("-", "_")


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"no folder {text}")
    return path


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, got {text}")
    return int(text)
