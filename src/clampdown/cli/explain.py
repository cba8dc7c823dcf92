"""`clampdown explain`: why a recipe costs what it costs, as a table, as JSON, and as a page."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import (
    add_force,
    add_json,
    add_placing,
    check_writable,
    command,
    out_path,
    positive,
    recipe_file,
    sae_name,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.tables import add_row, plain_table
from clampdown.cli.terminal import one_line, print_json, print_table, say

_EXAMPLE = """  clampdown explain                                  the default recipe, guarded
  clampdown explain refusal --out explained.html     a page besides
  clampdown explain mine.toml --sae later-layer/     which latents change further up
  clampdown explain refusal --survey                 what predicts the loss, over dozens of latents"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Say why a recipe costs what it costs, its gate forced open: the edit beside a random direction, other latents "
        "and a mere rescaling of the same size, at the same places of ordinary questions and plain text; its part on "
        "the prompt and on the answer; the latents and first tokens that change most; and the drift over answer "
        "letters. A survey of the SAE, measured before, tells what predicts the loss of clamping a latent."
    )
    parser = command(subparsers, "explain", "say why a recipe costs what it costs", said, _EXAMPLE)
    said = "a recipe's file, or guarded, guarded-clamp or refusal (default: guarded)"
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", type=recipe_file, help=said)
    said = "measure the survey of the SAE's latents anew, which takes minutes, and keep it"
    parser.add_argument("--survey", action="store_true", help=said)
    said = "that it draws, besides the recipe's own (default: 72)"
    parser.add_argument("--latents", metavar="N", type=positive, default=72, help=said)
    said = "of the edit's layer (default: the recipe's own, or the bundled), or of a later one, for what changes there"
    parser.add_argument("--sae", metavar="SAE", type=sae_name, action="append", default=[], help=said)
    said = "of the built-in ones, to measure losses on (default: 100)"
    parser.add_argument("--questions", metavar="N", type=positive, default=100, help=said)
    said = "of plain text, likewise (default: 16)"
    parser.add_argument("--passages", metavar="N", type=positive, default=16, help=said)
    said = "random directions, and other latents (default: 5)"
    parser.add_argument("--draws", metavar="N", type=positive, default=5, help=said)
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    said = "write a page too"
    parser.add_argument("--out", metavar="FILE.html", type=out_path, help=said)
    add_force(parser)
    parser.add_argument("--model", metavar="M", help="model folder, .gguf file or hub id (default: the recipe's)")
    add_placing(parser)
    add_json(parser, "what was found")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.out is not None:
        check_writable(args.out, force=args.force)
    with ProgressBar() as progress:
        progress("starting", 0, 0)
        from clampdown import library
        from clampdown.recipe import Recipe
        from clampdown.saes.load import load_sae
        from clampdown.studies.explanation.explain import explain
        from clampdown.studies.explanation.options import ExplainOptions
        from clampdown.studies.explanation.page import write_page

        keys = ("questions", "passages", "draws", "latents", "seed")
        options = ExplainOptions(**{key: getattr(args, key) for key in keys})
        recipe = Recipe.load(args.recipe) if args.recipe else library.default_recipe()
        saes = [load_sae(name) for name in args.sae]
        model = load_model(args.model or recipe.model, args, progress).chat
        body = explain(model, recipe, options, saes=saes, surveyed=args.survey, progress=progress).to_dict()
    if args.out is not None:
        write_page(body, args.out)
    if args.json:
        print_json(body)
    else:
        _print(body, args.out)
    return 0


def _print(body: Mapping[str, Any], out: Path | None) -> None:
    asked = body["material"]
    gate = "its gate forced open; " if body["gate"] != "none" else ""
    say(f"{body['recipe']['name']}: {gate}{body['recipe']['window']}")
    say(
        f"{asked['questions']} questions, {asked['passage_tokens']} tokens of plain text, from {asked['source']}; "
        "unsteered against steered, item by item (KL in nats a token; share of the edit's loss)"
    )
    columns = ("‖Δ‖/‖x‖", "KL", "bits/byte", "margin falls, nats", "share", "right, points")
    table = plain_table("push", *columns, right=columns)
    for row in body["variants"]:
        share = 1.0 if row["name"] == "edit" else body["shares"].get(row["name"])
        cells = [
            f"{row['relative_norm']:.2f}",
            _number(row["kl"], ".3f"),
            _number(row["bits_per_byte_rise"], "+.3f"),
            _bounded(row["margin_fall"]),
            _number(share, ".0%"),
            _bounded(row["accuracy_change"], 100, "+.1f"),
        ]
        add_row(table, row["label"], *cells)
    print_table(table)
    for line in body["findings"]:
        say(line)
    _print_letters(body["letters"])
    _print_changed(body)
    if body["survey"]:
        _print_survey(body["survey"])
    for note in body["notes"]:
        say(f"\nnote: {note}")
    if out is not None:
        say(f"\npage: {out}")


def _print_letters(found: Mapping[str, Any]) -> None:
    rows = {"right": "the right one", "before": "unsteered", "after": "under the edit"}
    letters = [letter for letter in found["right"] if letter != "none"]
    table = plain_table(
        f"letter answered, {found['n']} questions", *letters, "any letter", right=(*letters, "any letter")
    )
    for key, label in rows.items():
        mass = found.get(f"mass_{key}")
        counts = [f"{found[key][letter] / max(1, found['n']):.0%}" for letter in letters]
        add_row(table, label, *counts, "–" if mass is None else f"{mass:.0%}")
    print_table(table)


def _print_changed(body: Mapping[str, Any]) -> None:
    for found in body["latents"]:
        where = "downstream" if found["downstream"] else "at the edit's own layer"
        heading = f"latents that change most, {where} ({found['sae']})"
        table = plain_table(heading, "before", "after", "promotes", right=("before", "after"))
        for one in found["latents"]:
            words = " ".join(map(one_line, one["promotes"]))
            add_row(table, str(one["latent"]), f"{one['before']:.2f}", f"{one['after']:.2f}", words)
        print_table(table)
    tokens = body["first_tokens"]
    for key, word in (("gain", "more"), ("lose", "fewer")):
        shown = ", ".join(f"{t['token'].strip() or '␠'} {t['before']:.0%} → {t['after']:.0%}" for t in tokens[key][:5])
        say(f"begins {word} answers to ordinary prompts: {one_line(shown)}")


def _print_survey(found: Mapping[str, Any]) -> None:
    same = "" if found["same_window"] else ", in another window than this recipe's"
    drawn = sum(one["why"] == "drawn" for one in found["latents"])
    of = f"{one_line(found['sae'])}, {found['created'][:10]}"
    say(f"\nsurvey of {of}: {drawn} latents clamped alone ({found['window']}{same})")
    columns = ("at their maxima", "at equal ‖Δ‖")
    table = plain_table("ranks the loss, on the latents not used to choose", *columns, right=columns)
    natural, equal = (found["settings"][name] for name in ("natural", "equal"))
    for name in natural["predictors"]:
        add_row(table, name, *(_rho(one, name) for one in (natural, equal)))
    print_table(table)
    losses = [(word, one["loss"]) for word, one in (("at equal ‖Δ‖", equal), ("at their maxima", natural))]
    losses.append(("random directions", found["random"]["loss"]))
    for word, loss in losses:
        spread = f"standard deviation {loss['sd_beyond_noise']:.2f} beyond noise, n {loss['n']}"
        say(f"{word}: loss {loss['mean']:.2f} nats, {spread}")


def _rho(setting: Mapping[str, Any], name: str) -> str:
    found = setting["predictors"].get(name)
    if found is None or found["value"] is None:
        return "–"
    mark = " (chosen)" if setting["chosen"] == name else ""
    return f"{_bounded(found)} of {found['n']}{mark}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _bounded(found: Mapping[str, Any], times: float = 1, form: str = ".2f") -> str:
    if found["low"] is None or found["high"] is None:
        return format(times * found["value"], form)
    low, high = (format(times * found[key], form) for key in ("low", "high"))
    return f"{format(times * found['value'], form)} ({low} to {high})"
