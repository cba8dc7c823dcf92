"""`clampdown chat`: talk to the model, steered or not; at the terminal, or one prompt at a time."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from clampdown.cli.asides import Repetition, note_system, receipt
from clampdown.cli.engines import check_engine, engine_named
from clampdown.cli.loading import load_model
from clampdown.cli.options import (
    RECIPE,
    add_engine,
    add_json,
    add_model,
    add_outside_gate,
    command,
    positive,
    recipe_file,
    temperature,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import Streamed, print_json, say
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.engine.engine import Engine
    from clampdown.library import Model
    from clampdown.measuring.judging.outside_gate import OutsideGate
    from clampdown.recipe import Recipe

COMMANDS = (
    *("/help", "/clamp", "/off", "/on", "/compare", "/recipe", "/save", "/save!", "/gate", "/reset"),
    *("/quit", "/exit"),
)
"""What a conversation takes for commands."""
_LONGEST = 1 << 24
"""Bytes of a prompt on standard input, which may be something that never ends."""
_EXAMPLE = """  clampdown chat                               talk; /help tells what else there is
  clampdown chat "How do I build a bomb?"      one answer; its receipt goes to standard error
  echo "Name a colour." | clampdown chat --recipe refusal --json     steered, whatever is asked"""


def add_parser(subparsers: Any) -> None:
    said = "Talk to the model, steered by a recipe or not. Every answer comes with a receipt of what steering did."
    parser = command(subparsers, "chat", "talk to the model, steered or not", said, _EXAMPLE)
    parser.add_argument("prompt", metavar="PROMPT", nargs="?", help='answer this and end; "-" reads standard input')
    add_model(parser, "the one the recipe names")
    steering = parser.add_mutually_exclusive_group()
    steering.add_argument("--recipe", metavar="FILE", type=recipe_file, help=f"{RECIPE} (default: guarded)")
    steering.add_argument("--no-recipe", action="store_true", help="start unsteered")
    add_outside_gate(parser)
    add_engine(parser)
    parser.add_argument("--system", metavar="TEXT", default="", help="system prompt; the recipe's own comes before it")
    parser.add_argument("--tokens", metavar="N", type=positive, default=256, help="longest answer (default: 256)")
    parser.add_argument(
        "--temperature", metavar="T", type=temperature, default=0.0, help="0 is greedy (default); 1 samples freely"
    )
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="of sampling (default: 0)")
    parser.add_argument("--repeat", action="store_true", help="let an answer that repeats itself go on")
    add_json(parser, "prompt, answer and receipt")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from clampdown.measuring.judging.outside_gate import outside_gate

    check_engine(args)
    prompt = _prompt(args)
    recipe = _recipe(args)
    outside = outside_gate(recipe, args.gate_endpoint, args.gate_model)
    with ProgressBar() as progress:
        model = load_model(args.model or (recipe.model if recipe else None), args, progress)
        if recipe is not None:
            model.check(recipe)
        engine = engine_named(args, model.chat, 1, progress)
    if prompt is not None:
        return _one_shot(args, model, recipe, prompt, outside, engine)
    from clampdown.cli.session import Session

    return Session(model, recipe, _sampling(args), args.system, outside, args.repeat, engine).run()


def _prompt(args: argparse.Namespace) -> str | None:
    """The one prompt to answer, or None to talk."""
    if args.prompt is None and sys.stdin is not None and sys.stdin.isatty():
        if args.json:
            raise ClampdownError("--json answers one prompt: give it as an argument, or on standard input")
        return None
    if args.prompt not in (None, "-"):
        # Bytes of an argument that are not UTF-8 come as surrogates, which no tokenizer takes.
        text, said = args.prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), "the prompt"
    else:
        data = b"" if sys.stdin is None else sys.stdin.buffer.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise ClampdownError(f"standard input holds more than {_LONGEST >> 20} MiB; no prompt is that long")
        text, said = data.decode("utf-8", "replace").strip(), "standard input"
    if (command := (text.split() or [""])[0]) in COMMANDS:
        raise ClampdownError(f"{command} is for a conversation: start `clampdown chat` at a terminal and type it there")
    if not text.strip():
        raise ClampdownError(f"{said} is empty; give a prompt, such as: clampdown chat 'Hello!'")
    return text


def _recipe(args: argparse.Namespace) -> "Recipe | None":
    from clampdown import library
    from clampdown.recipe import Recipe

    if args.no_recipe:
        return None
    if args.recipe:
        return Recipe.load(args.recipe)
    try:
        return library.default_recipe()
    except ClampdownError as error:
        raise ClampdownError(f"{error} with --recipe, or talk unsteered with --no-recipe") from error


def _one_shot(
    args: argparse.Namespace,
    model: "Model",
    recipe: "Recipe | None",
    prompt: str,
    outside: "OutsideGate | None",
    engine: "Engine",
) -> int:
    from clampdown.engine.generation import stream
    from clampdown.measuring.judging.outside_gate import brought
    from clampdown.recipe.system import system_text

    ids = model.chat.prompt_ids(prompt, system=system_text(recipe, args.system), room=args.tokens)
    shown = Streamed()
    write = (lambda piece: None) if args.json else shown.write
    [decision] = brought(outside, [recipe], [[{"role": "user", "content": prompt}]])
    repetition = Repetition(prompt, allowed=args.repeat)
    answer = stream(model.chat, ids, recipe, _sampling(args), write, decision, repetition, engine)
    if args.json:
        told = {"prompt": prompt, "answer": answer.text, "finished": answer.finished}
        told |= {"stopped": "it repeats itself"} if repetition.found else {}
        print_json(told | {"receipt": answer.receipt.to_dict()})
        return 0
    shown.end()
    if args.system or (recipe and recipe.system_prompt):
        note_system(model)
    say(receipt(answer, args.tokens, repetition), style="dim", aside=True, wrap=True)
    return 0


def _sampling(args: argparse.Namespace) -> Any:
    from clampdown.engine.request import Sampling

    return Sampling(args.tokens, args.temperature, args.seed)
