"""`clampdown find`: find the latents behind refusal and write them as a recipe."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import (
    add_fields,
    add_force,
    add_json,
    add_model,
    add_sets,
    check_writable,
    command,
    out_path,
    sae_name,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import literal, print_json, print_table, say
from clampdown.discovery.options import FindOptions
from clampdown.writing import json_text, write_whole

if TYPE_CHECKING:
    from clampdown.discovery.find import Found, FoundLatent
    from clampdown.discovery.trials import Trial

_EXAMPLE = """  clampdown find                                      in a minute or two
  clampdown find --window all                         every token edited, as in the paper
  clampdown find --method attribution --out mine.toml
  clampdown find --latents 1 --value 12 --window all  one latent at a fixed value, as in the paper
  clampdown find --method contrast --unsafe bad.jsonl more.csv --safe fine.txt"""
_CHOICES = ("method", "prompt", "refusal", "candidates", "latents", "value", "tokens", "window")
_SHOWN = 24
_CONTEXTS = 2


def add_parser(subparsers: Any) -> None:
    said = (
        "Find the latents behind refusal, check each by clamping it, choose a set with a value each, and write a "
        "recipe. Gains are changes in the log-odds of refusing, in nats; KL is on plain text, in nats a token. "
        "Strength and window (the tokens of prompt and answer that are edited) are chosen together, by how many unsafe "
        "prompts are refused without looping. Sets that you name are split by a hash, and only their selecting half is "
        "looked at, some of it to choose on and the rest to confirm with, by answers. A recipe that does not work "
        "there is written all the same, with a warning and a note in it."
    )
    parser = command(subparsers, "find", "find the latents behind refusal and write a recipe", said, _EXAMPLE)
    add_model(parser)
    parser.add_argument("--sae", metavar="SAE", type=sae_name, help="SAE file or folder (default: the bundled one)")
    add_fields(parser, FindOptions, *_CHOICES[:3])
    add_sets(parser, ("unsafe", "safe", "text"))
    add_fields(parser, FindOptions, *_CHOICES[3:])
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    parser.add_argument(
        "--out", metavar="FILE", type=out_path, default=Path("refusal.toml"), help="(default: refusal.toml)"
    )
    add_force(parser)
    add_json(parser, "the latents and the recipe's path")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from clampdown import library

    check_writable(args.out, force=args.force)
    check_writable(library.latents_file(args.out), force=args.force)
    with ProgressBar() as progress:
        progress("starting", 0, 0)

        for kind in ("unsafe", "safe", "text"):  # a bad file shows before the model is loaded
            library.selecting_set(kind, getattr(args, kind), args.limit, args.seed)
        found = library.find(
            load_model(args.model, args, progress),
            args.sae,
            unsafe=args.unsafe,
            safe=args.safe,
            text=args.text,
            limit=args.limit,
            **{name: getattr(args, name) for name in _CHOICES},
            seed=args.seed,
            progress=progress,
        )
    _save(found, args.out)
    if found.warning:
        say(f"warning: {found.warning}", aside=True)
    if args.json:
        latents = [_plain(latent, found) for latent in found.latents]
        warned = {"warning": found.warning} if found.warning else {}
        tried = [_trial(trial, found) for trial in found.tried]
        print_json({"latents": latents, "recipe": str(args.out), "tried": tried, "notes": found.notes} | warned)
    else:
        _print(found, args.out)
    return 0


def _save(found: "Found", out: Path) -> None:
    """The recipe, and beside it what is known of its latents, which a study puts into its report."""
    from clampdown.library import latents_file

    chosen = [_plain(latent, found) for latent in found.latents if latent.chosen]
    known = [latent | {"value": latent["recipe_value"]} for latent in chosen]
    body = {"recipe_sha256": found.recipe.sha256, "latents": known}
    found.recipe.save(out)
    write_whole(latents_file(out), json_text(body, indent=1) + "\n")


def _plain(latent: "FoundLatent", found: "Found") -> dict[str, Any]:
    """A latent as JSON. `value` is what it was tested at, `recipe_value` what the recipe clamps it to, if it does."""
    return {
        "latent": latent.latent,
        "value": latent.value,
        "recipe_value": _in_recipe(found).get(latent.latent),
        "unsafe_gain": latent.unsafe_gain,
        "safe_gain": latent.safe_gain,
        "kl": latent.kl,
        "chosen": latent.chosen,
        "promotes": list(latent.promotes),
        "contexts": [
            {"before": c.before, "token": c.token, "after": c.after, "activation": c.activation}
            for c in latent.contexts
        ],
    }


def _trial(trial: "Trial", found: "Found") -> dict[str, Any]:
    """What a trial did as JSON: shares of the scored answers of the selecting half, whose numbers are the n's."""
    told = trial.confirmed
    return {
        "latents": trial.latents,
        "factor": told.factor,
        "window": trial.window,
        "coherent_refusal": told.unsafe,
        "refusal": told.refusal,
        "looping": told.looping,
        "incoherent": told.incoherent,
        "unsafe_n": told.scored[0],
        "safe_refusal": told.safe,
        "safe_n": told.scored[1],
        "chosen": trial.recipe.sha256 == found.recipe.sha256,
    }


def _in_recipe(found: "Found") -> dict[int, float | str]:
    return {k: v for edit in found.recipe.edits for k, v in getattr(edit, "values", {}).items()}


def _print(found: "Found", out: Path) -> None:
    from rich.text import Text

    from clampdown.cli.tables import add_row, plain_table

    numbers = ("latent", "tested at", "in recipe", "unsafe gain", "safe gain", "gap", "KL")
    table = plain_table(*numbers, "promotes, and where it fires", right=numbers)
    values = _in_recipe(found)
    shown = [latent for place, latent in enumerate(found.latents) if latent.chosen or place < _SHOWN]
    for latent in shown:
        value = values.get(latent.latent)
        add_row(
            table,
            str(latent.latent),
            f"{latent.value:.2f}",
            Text("" if value is None else value if isinstance(value, str) else f"{value:.2f}", style="bold"),
            f"{latent.unsafe_gain:+.2f}",
            f"{latent.safe_gain:+.2f}",
            f"{latent.unsafe_gain - latent.safe_gain:+.2f}",
            f"{latent.kl:.4f}",
            _meaning(latent),
        )
    print_table(table)
    if more := len(found.latents) - len(shown):
        say(f"{more} more with --json")
    for note in found.notes:
        say(note)
    say(f"\nrecipe: {out}")
    if not found.warning:
        say(f"next:   clampdown chat --recipe {out}\n        clampdown study {out}")


def _meaning(latent: "FoundLatent") -> Any:
    """What a latent promotes on one line, then where it fires most, its token marked."""
    from rich.text import Text

    told = Text(" ".join(map(_one_line, latent.promotes)), style="cyan")
    for c in latent.contexts[:_CONTEXTS]:
        told.append("\n")
        told.append(_one_line(c.before)[-32:], style="not bold default")
        told.append(_one_line(c.token), style="bold yellow underline")
        told.append(_one_line(c.after)[:16], style="not bold default")
    return told


def _one_line(text: str) -> str:
    return literal(text.replace("\n", "⏎").replace("\t", " ").replace("\r", ""))
