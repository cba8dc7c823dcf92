"""`clampdown tune`: learn by gradient what a recipe adds, and write the recipe."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import (
    add_force,
    add_json,
    add_model,
    check_writable,
    command,
    out_path,
    positive,
    recipe_file,
    sae_name,
    set_file,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.tables import add_row, plain_table, rate_cell
from clampdown.cli.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from clampdown.discovery.tuning.held_out import HeldOut
    from clampdown.discovery.tuning.tune import Tuned

_EXAMPLE = """  clampdown tune --out tuned.toml                          a direction for guarded, whose gate is kept
  clampdown tune gated.toml --prompt last --generated all  the gate is kept
  clampdown tune --kind clamp                              new values for guarded-clamp's own latents
  clampdown tune --kind clamp --latents 16                 latents chosen too
  clampdown tune --model org/model --layer 14 --unsafe bad.jsonl"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Learn by gradient what a recipe adds, so that the model gives refusals of its own to unsafe prompts, and "
        "write a recipe. The recipe's window, gate and system prompt are kept. Some of the prompts train, others "
        "choose the strength, and a third part confirms, by answers with the edit forced on; pairs stay together, and "
        "the reporting halves of the built-in sets are left out. Forced on, such an edit refuses safe prompts too: put "
        "a gate before it (clampdown gate fit)."
    )
    parser = command(subparsers, "tune", "tune a recipe's edit by gradient", said, _EXAMPLE)
    said = "(default: guarded, or guarded-clamp for a clamp; for another --model, one that does nothing yet)"
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", type=recipe_file, help=said)
    said = "direction (a vector), or clamp (the values of an SAE's latents) (default: direction)"
    parser.add_argument("--kind", choices=("direction", "clamp"), default="direction", help=said)
    said = "of a direction (default: the recipe's, or two fifths of the depth)"
    parser.add_argument("--layer", metavar="L", type=whole, help=said)
    parser.add_argument("--sae", metavar="SAE", type=sae_name, help="of a clamp with --latents (default: the recipe's)")
    said = "of a clamp, choose so many of the SAE's (default: the recipe's own)"
    parser.add_argument("--latents", metavar="K", type=positive, help=said)
    said = "where a direction begins: zero, or the difference in means (default: zero)"
    parser.add_argument("--start", choices=("zero", "means"), default="zero", help=said)
    said = "which of the prompt's tokens are edited: all, user or last (default: as in the recipe)"
    parser.add_argument("--prompt", choices=("all", "user", "last", "none"), help=said)
    said = "how many of the answer's: all, or the first N (default: as in the recipe)"
    parser.add_argument("--generated", metavar="N", type=_generated, help=said)
    said = "unsafe prompts to add: a file with prompt, text or messages, or a set's name"
    parser.add_argument("--unsafe", metavar="FILE", type=set_file, nargs="+", action="extend", default=[], help=said)
    parser.add_argument("--only", action="store_true", help="leave out the prompts that come along")
    parser.add_argument("--rows", metavar="N", type=positive, default=240, help="prompts trained on (default: 240)")
    parser.add_argument("--steps", metavar="N", type=positive, default=20, help="of the optimiser (default: 20)")
    said = "of each answer that chooses and confirms; fewer hide loops (default: 64)"
    parser.add_argument("--tokens", metavar="N", type=positive, default=64, help=said)
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    said = "the recipe to write (default: tuned.toml)"
    parser.add_argument("--out", metavar="FILE", type=out_path, default=Path("tuned.toml"), help=said)
    add_force(parser)
    add_model(parser, "the one the recipe names")
    add_json(parser, "what was found")
    parser.set_defaults(run=run)


def _generated(text: str) -> "str | int":
    return text if text in ("all", "none") else positive(text)


def run(args: argparse.Namespace) -> int:
    check_writable(args.out, force=args.force)
    with ProgressBar() as progress:
        progress("starting", 0, 0)
        from clampdown import library
        from clampdown.discovery.tuning.options import TuneOptions
        from clampdown.discovery.tuning.prompts import unsafe_rows
        from clampdown.discovery.tuning.tune import tune
        from clampdown.recipe import Recipe
        from clampdown.saes.load import load_sae

        # All that can be wrong without the model is told before its weights are read.
        keys = ("kind", "layer", "latents", "start", "prompt", "generated", "rows", "steps", "tokens", "seed")
        options = TuneOptions(**{key: getattr(args, key) for key in keys})
        recipe = library.tunable(Recipe.load(args.recipe) if args.recipe else None, args.model, args.kind)
        sae = load_sae(args.sae) if args.sae else None
        rows, named = unsafe_rows([str(path) for path in args.unsafe], args.only)
        model = load_model(args.model or (recipe.model if recipe else None), args, progress).chat
        found = tune(model, recipe, rows, options, sae=sae, named=named, progress=progress)
    found.recipe.save(args.out)
    if found.warning:
        say(f"warning: {found.warning}", aside=True)
    if args.json:
        print_json({"schema": "clampdown-tune/1", "recipe": str(args.out), **found.to_dict()})
    else:
        _print(found, args.out)
    return 0


def _print(found: "Tuned", out: Path) -> None:
    strength = plain_table("strength", "n", "refused coherently", "loop", "babble", right=("n",))
    for factor, one in found.tried:
        add_row(strength, f"×{factor:g}", str(one.n), *_shares(one)[1:])
    print_table(strength)
    rows = ("n", "refused", "coherently", "loop", "babble")
    table = plain_table("held-out prompts, edit forced on", *rows, right=("n",))
    for kind, (before, after) in (("unsafe", found.unsafe), ("safe", found.safe)):
        for when, one in (("before", before), ("tuned", after)):
            add_row(table, f"{kind}, {when}", str(one.n), *_shares(one))
    print_table(table)
    say(found.recipe.note)
    gate = "its gate is kept" if found.recipe.gate else f"clampdown gate fit {out}"
    say(f"\nrecipe: {out}\nnext:   {gate}\n        clampdown chat --recipe {out}")


def _shares(one: "HeldOut") -> tuple[str, str, str, str]:
    return rate_cell(one.refused), rate_cell(one.coherent), f"{one.looping:.0%}", f"{one.incoherent:.0%}"
