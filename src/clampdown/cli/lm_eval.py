"""`clampdown lm-eval`: lm-eval's tasks, on a model under a recipe."""

import argparse
from typing import Any

from clampdown.cli.interrupts import checkpoint
from clampdown.cli.options import RECIPE, add_model, command, recipe_file
from clampdown.cli.terminal import others_printing
from clampdown.errors import ClampdownError

_EXAMPLE = """  clampdown lm-eval --recipe refusal.toml --tasks mmlu,gsm8k,truthfulqa_mc2 --apply_chat_template
  clampdown lm-eval --tasks my_task --include_path tasks --output_path results     without a recipe: unsteered"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Run lm-eval's tasks on a model under a recipe: log-likelihoods and generated answers both. Every other option "
        "is lm-eval's own and goes to it as it is (lm-eval run --help lists them; --batch_size must be a number). What "
        "was steered stands in its results, under config.clampdown; where nothing was, there are none."
    )
    parser = command(subparsers, "lm-eval", "run lm-eval's tasks under a recipe", said, _EXAMPLE)
    parser.add_argument("--recipe", metavar="FILE", type=recipe_file, help=f"{RECIPE} (default: none, unsteered)")
    add_model(parser, "the one the recipe names")
    parser.set_defaults(run=run, rest=[])


def run(args: argparse.Namespace) -> int:
    from clampdown.models.bundled import NAME
    from clampdown.recipe import Recipe

    if not args.rest:
        raise ClampdownError("name what to run, such as --tasks mmlu,gsm8k")
    recipe = Recipe.load(args.recipe) if args.recipe else None
    given = {
        "model": args.model or (recipe.model if recipe else NAME),
        "recipe": str(args.recipe) if recipe else None,
        "dtype": args.dtype,
        "device_map": args.device_map,
        "quantization": args.quantization,
        "revision": args.revision,
        "chat_template": args.chat_template,
        "enable_thinking": False if args.no_thinking else None,
    }
    model_args = {name: value for name, value in given.items() if value is not None}
    try:
        from clampdown.plugins import lm_eval
    except ModuleNotFoundError as error:
        from clampdown.measuring.capability.lm_eval.tasks import need

        raise need(error) from error
    checkpoint()
    with others_printing():
        lm_eval.run(args.rest, model_args)
    return 0
