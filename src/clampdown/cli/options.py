"""What the commands' options have in common: their types, their wording, and checks made before long work starts."""

import argparse
import math
import os
import tempfile
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.models.bundled import NAME
from clampdown.reading import check_file
from clampdown.recipe.bundled import COME_ALONG, recipe_path

RECIPE = "a recipe's file, or guarded, guarded-clamp or refusal, which come along and give way to a file of that name"
ENGINES = ("transformers", "vllm")
DTYPES = ("auto", "float32", "bfloat16", "float16")


def command(subparsers: Any, name: str, summary: str, description: str, example: str) -> argparse.ArgumentParser:
    """A command's parser, with an example at the end of its help."""
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 79),
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser)
    return parser


def add_model(parser: argparse.ArgumentParser, default: str = NAME) -> None:
    said = f"model folder, .gguf file, hub id, or hub id/FILE.gguf (default: {default})"
    parser.add_argument("--model", metavar="M", help=said)
    add_placing(parser)


def add_placing(parser: argparse.ArgumentParser) -> None:
    """How a model is loaded: what `load_model` reads besides its name."""
    parser.add_argument(
        "--dtype", metavar="D", choices=DTYPES, default="auto", help=f"{', '.join(DTYPES)} (default: auto)"
    )
    parser.add_argument("--device-map", metavar="MAP", help="spread the model over devices: auto, balanced, sequential")
    parser.add_argument("--quantization", choices=("8bit", "4bit"), help="pack the weights with bitsandbytes")
    parser.add_argument("--revision", metavar="REV", help="a hub repository's branch, tag or commit")
    said = "a Jinja file, or the template itself, in place of the model's own; base models have none"
    parser.add_argument("--chat-template", metavar="FILE", help=said)
    parser.add_argument("--no-thinking", action="store_true", help="answers without thoughts, as the chat template can")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Which engine answers; `engines.engine_named` makes it."""
    said = "what answers: transformers (default), or vllm, which the extra vllm brings"
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help=said)


def add_sets(parser: argparse.ArgumentParser, kinds: tuple[str, ...]) -> None:
    """One option a kind, repeatable, each with one file or several, or names of public sets."""
    layouts = {
        "capability": "questions: JSONL with question, choices, answer, or a set's name; in `study` also lm-eval:TASK, "
        "or letters:FILE to have them answered in words",
        "text": "plain text, or JSONL with text",
    }
    for kind in kinds:
        said = layouts.get(kind, f"{kind} prompts: JSONL or CSV with a prompt column, one a line, or a set's name")
        parser.add_argument(
            f"--{kind}", metavar="FILE", type=set_file, nargs="+", action="extend", default=[], help=said
        )
    parser.add_argument("--limit", metavar="N", type=positive, help="at most N items of each set, drawn by the seed")


def add_fields(parser: argparse.ArgumentParser, options: type, *names: str) -> None:
    """An option for each of a dataclass's fields of these names, with the default and the help that the field has."""
    held = {field.name: field for field in fields(options)}
    for name in names:
        default, said, how = held[name].default, held[name].metadata["help"], dict(held[name].metadata)
        del how["help"]
        if not how.pop("quiet", False) and "(default: " not in said:
            said = f"{said} (default: {default})".strip()
        of = held[name].type
        kind: Any = positive if of is int else float if of == float | None else str
        parser.add_argument(f"--{name}", type=kind, default=default, help=said, **how)


def add_json(parser: argparse.ArgumentParser, said: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {said} as JSON, and nothing else")


def positive(text: str) -> int:
    """A whole number from 1."""
    value = whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def whole(text: str) -> int:
    """A whole number from 0."""
    try:
        value = int(text.replace("_", ""))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
    return value


def temperature(text: str) -> float:
    """A number from 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if value < 0 or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def existing(text: str) -> Path:
    """The path of a file that is there."""
    path = Path(text).expanduser()
    _check_there(path, text)
    return path


def recipe_file(text: str) -> Path:
    """The path of a recipe: of a file that is there, or of one that comes along and goes by its name."""
    path = recipe_path(text)
    if not os.path.lexists(path):
        raise argparse.ArgumentTypeError(f"no file {text}; {COME_ALONG}")
    _check_there(path, text)
    return path


def sae_name(text: str) -> str:
    """An SAE's name; its file as a full path, because the recipe that names it must hold from any folder."""
    path = Path(text).expanduser()
    return str(path.resolve()) if text and path.exists() else text


def _check_there(path: Path, text: str) -> None:
    """Tell a file that is not there from a pipe, say, or a folder."""
    try:
        if not os.path.lexists(path):
            raise argparse.ArgumentTypeError(f"no file {text}")
        check_file(path)
    except (ValueError, ClampdownError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def set_file(text: str) -> Path:
    """The path of a set's file, or the name of a set as a path; a recipe that slipped in among them is told."""
    from clampdown.measuring.sets.sets import LETTERS, LM_EVAL

    if text.startswith(LM_EVAL):
        return Path(text)
    if text.startswith(LETTERS):
        return Path(f"{LETTERS}{set_file(text.removeprefix(LETTERS))}")
    path = Path(text).expanduser()
    if not path.is_file():
        from clampdown.measuring.sets.named.finding import check_name

        try:
            check_name(text)
        except ClampdownError as error:
            if os.path.lexists(path):
                _check_there(path, text)
            raise argparse.ArgumentTypeError(str(error)) from None
        return Path(text)
    if path.suffix == ".toml":
        raise argparse.ArgumentTypeError(f"{text} is TOML, not a set; a recipe goes before the options")
    return path


def add_outside_gate(parser: argparse.ArgumentParser) -> None:
    """Who is asked where the recipe's gate decides outside."""
    said = "of a recipe whose gate decides outside, the endpoint that is asked: its URL up to and with /v1"
    parser.add_argument("--gate-endpoint", metavar="URL", help=said)
    parser.add_argument("--gate-model", metavar="NAME", help="the model asked there (default: the gate's own name)")


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace what is there already")


def out_path(text: str) -> Path:
    """A path to write to."""
    return Path(os.path.expanduser(text))


def check_writable(path: Path, what: str = "file", *, force: bool = False) -> None:
    """Find out before the work, not after it, that `path` can't be written, or that writing would replace a file.

    A folder may be there already: what a run kept in it, the same run goes on with.
    """
    if what == "file" and path.is_dir():
        raise ClampdownError(f"--out {path} is a folder; name a file")
    if what == "file" and path.exists() and not path.is_file():
        raise ClampdownError(f"--out {path} is a pipe or a device; name a file")
    if what == "file" and os.path.lexists(path) and not force:
        raise ClampdownError(f"{path} is there already; name another --out, or replace it with --force")
    folder = path.parent if what == "file" else path
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ClampdownError(f"can't write {path}: {folder} is not a folder; name another --out")
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "permission denied")
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ClampdownError(f"can't write {path}: {error.strerror or error}; name another --out") from error
