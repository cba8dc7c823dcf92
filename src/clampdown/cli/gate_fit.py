"""`clampdown gate fit`: fit a gate on labelled prompts, set its threshold, and write it into a recipe."""

import argparse
import tempfile
from dataclasses import replace
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
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.discovery.gates.fit import FittedGate
    from clampdown.discovery.gates.options import FitOptions
    from clampdown.discovery.gates.outcome import Outcome
    from clampdown.discovery.gates.rows import GateRow
    from clampdown.recipe import Gate, Recipe
    from clampdown.saes.sae import SAE

_KINDS = ("probe", "latents", "latent-probe", "condition", "words", "external")
_FITTING = (
    *("unsafe", "safe", "only", "blocks", "pool", "over", "window", "hidden", "sae", "latents"),
    *("false_positives", "look_alikes", "conformal", "calibrate", "seed"),
)
"""Options of fitting alone, which mean nothing to a gate outside."""
_EXAMPLE = """  clampdown gate fit --out gated.toml                             the edits that come along
  clampdown gate fit refusal.toml --unsafe bad.jsonl --safe traffic.jsonl --calibrate traffic
  clampdown gate fit --pool last@17 mean@14                       chosen places and blocks
  clampdown gate fit --hidden 128                                 residuals, through a hidden layer
  clampdown gate fit --kind latents --latents 3                   a threshold on three latents
  clampdown gate fit --kind external --classifier wildguard       decided outside"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Fit a gate and write it into a recipe, its file beside it. A part of the prompts is fitted on, another sets "
        "the threshold, and a third confirms what came of it; pairs stay together, and the reporting halves of the "
        "built-in sets are left out. The threshold is the lowest that is sure to open on no more than so many of the "
        "ordinary safe prompts (--false-positives) and of the look-alikes (--look-alikes)."
    )
    parser = command(subparsers, "fit", "fit a gate and write it into a recipe", said, _EXAMPLE)
    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?", type=recipe_file, help="(default: refusal, which comes along)"
    )
    said = "probe (residuals), latents (a few of an SAE's), latent-probe (many), condition (CAST's), words (TF-IDF), "
    parser.add_argument("--kind", choices=_KINDS, default="probe", help=f"{said}external (default: probe)")
    for side in ("unsafe", "safe"):
        said = f"{side} prompts to add: a file with prompt, text or messages, or a set's name"
        parser.add_argument(
            f"--{side}", metavar="FILE", type=set_file, nargs="+", action="extend", default=[], help=said
        )
    parser.add_argument("--only", action="store_true", help="leave out the prompts that come along")
    said = "such as 11-24 or 8,14 (default: from about a third to four fifths of the depth)"
    parser.add_argument("--blocks", metavar="B", default="", help=said)
    said = "last, request-last, mean, max or attention, perhaps with blocks: mean@14 (default: last mean, or mean)"
    parser.add_argument("--pool", metavar="P", nargs="+", action="extend", default=[], help=said)
    said = "the tokens of mean, max and attention: request, users or prompt (default: request)"
    parser.add_argument("--over", metavar="O", default="request", help=said)
    parser.add_argument("--window", metavar="N", type=positive, default=1, help="of --pool max: the mean of N tokens")
    said = "units of a hidden layer of --kind probe, a multiple of 64 best; with the pool max beside others windows "
    said += "have a layer of their own (default: 0, none)"
    parser.add_argument("--hidden", metavar="N", type=whole, default=0, help=said)
    parser.add_argument("--sae", metavar="SAE", type=sae_name, help="whose latents are read (default: the recipe's)")
    parser.add_argument("--latents", metavar="N", type=positive, help="at most so many (default: 4, or 64)")
    parser.add_argument("--classifier", metavar="NAME", help="of --kind external: what decides, such as wildguard")
    said = "share of safe prompts that may open it (default: 0.02)"
    parser.add_argument("--false-positives", metavar="R", type=_share, default=0.02, help=said)
    said = "share of look-alikes, safe prompts of other kinds, that may open it (default: 0.1; 1: any)"
    parser.add_argument("--look-alikes", metavar="R", type=_share_or_all, default=0.1, help=said)
    parser.add_argument(
        "--conformal", action="store_true", help="on average, not at 95%% confidence; takes fewer prompts"
    )
    said = "kinds of safe prompts that set the threshold, sets' names among them (default: ordinary ones)"
    parser.add_argument("--calibrate", metavar="KIND", nargs="+", action="extend", default=[], help=said)
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    said = "the recipe to write (default: gated.toml)"
    parser.add_argument("--out", metavar="FILE", type=out_path, default=Path("gated.toml"), help=said)
    add_force(parser)
    add_model(parser, "the one the recipe names")
    add_json(parser, "what was found")
    parser.set_defaults(run=run, fitting={name: parser.get_default(name) for name in _FITTING})


def _share(text: str) -> float:
    value = _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, got {text}")
    return value


def _share_or_all(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must lie above 0 and up to 1, got {text}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def run(args: argparse.Namespace) -> int:
    check_writable(args.out, force=args.force)
    with ProgressBar() as progress:
        progress("starting", 0, 0)
        from clampdown.recipe import Recipe
        from clampdown.recipe.bundled import REFUSAL, bundled_path

        recipe = Recipe.load(args.recipe or bundled_path(REFUSAL))
        if args.kind == "external" or args.classifier:
            return _external(recipe, args)
        options = _options(args)
        sae = _sae(recipe, args, options)
        rows = _rows(args)
        from clampdown.discovery.gates.fit import fit_gate

        model = load_model(args.model or recipe.model, args, progress).chat
        if not model.is_named(recipe.model_sha256):
            raise ClampdownError(
                f"recipe {recipe.name} is for {recipe.model} with weights {recipe.model_sha256[:12]}, but the loaded "
                f"model has {model.sha256[:12]}; find a recipe for this one"
            )
        system = recipe.system_prompt or None
        found = fit_gate(model, rows, options, sae=sae, system=system, progress=progress)
        _save(recipe, found, args.out)
    if found.warning:
        say(f"warning: {found.warning}", aside=True)
    if args.json:
        print_json({"schema": "clampdown-gate-fit/1", "recipe": str(args.out), **found.to_dict()})
    else:
        _print(found, args.out)
    return 0


def _external(recipe: "Recipe", args: argparse.Namespace) -> int:
    from clampdown.recipe import Gate

    if args.kind != "external" or not args.classifier:
        raise ClampdownError(
            "a gate outside takes both: --kind external, and --classifier with the name of what decides"
        )
    if idle := [f"--{name.replace('_', '-')}" for name, usual in args.fitting.items() if getattr(args, name) != usual]:
        raise ClampdownError(f"a gate outside is not fitted, so it takes no {', '.join(idle)}; leave it out")
    replace(recipe, gate=Gate(external=args.classifier)).save(args.out)
    if args.json:
        print_json({"schema": "clampdown-gate-fit/1", "recipe": str(args.out), "external": args.classifier})
    else:
        say(f"recipe: {args.out}, whose gate is {args.classifier}: each request brings what it decided")
    return 0


def _options(args: argparse.Namespace) -> "FitOptions":
    from clampdown.discovery.gates.options import FitOptions

    return FitOptions(
        kind=args.kind,
        blocks=args.blocks,
        pools=tuple(args.pool),
        over=args.over,
        window=args.window,
        hidden=args.hidden,
        latents=args.latents,
        false_positives=args.false_positives,
        look_alikes=args.look_alikes,
        conformal=args.conformal,
        calibrate=tuple(args.calibrate),
        seed=args.seed,
    )


def _rows(args: argparse.Namespace) -> "list[GateRow]":
    from clampdown.discovery.gates.rows import fitting_rows, shipped_rows, without_reported

    if args.only and not (args.unsafe and args.safe):
        raise ClampdownError("--only leaves nothing to fit on without --unsafe and --safe files; name both")
    rows = [] if args.only else shipped_rows()
    for side in (True, False):
        for name in args.unsafe if side else args.safe:
            rows += fitting_rows(name, side)
    kept = without_reported(rows)
    if left := len(rows) - len(kept):
        say(f"{left} prompts are left out: they stand in the reporting halves of the built-in sets", aside=True)
    return kept


def _sae(recipe: "Recipe", args: argparse.Namespace, options: "FitOptions") -> "SAE | None":
    """The SAE whose latents are read: before the model, for it tells sooner that a name is wrong."""
    from clampdown.discovery.gates.options import OF_LATENTS
    from clampdown.saes.load import load_sae

    if options.kind not in OF_LATENTS:
        if args.sae:
            raise ClampdownError(f"a gate of the kind {options.kind} reads no SAE; leave out --sae")
        return None
    named = next((clamp.sae for clamp in recipe.clamps), None)
    if args.sae is None and named is None:
        raise ClampdownError(f"recipe {recipe.name} clamps no latents, so it names no SAE; name one with --sae")
    return load_sae(args.sae or str(named))


def _save(recipe: "Recipe", found: "FittedGate", out: Path) -> None:
    """The gate's file and the recipe that names it; the recipe last, so that what it names is there."""
    from clampdown.steering.gates.gate_file import save_gate

    with tempfile.TemporaryDirectory() as folder:
        gate: Gate = save_gate(found.file, Path(folder) / "gate.safetensors")
        replace(recipe, gate=gate).save(out)


def _print(found: "FittedGate", out: Path) -> None:
    table = plain_table("held-out prompts", "unsafe", "open", "safe", "open ", "AUC", right=("unsafe", "safe", "AUC"))
    for one in found.confirmed:
        _row(table, one, one.kind)
    _row(table, found.baseline, "TF-IDF, all")
    print_table(table)
    fit, calibrate, confirm = found.counts
    say(f"{fit} prompts to fit on, {calibrate} to set the threshold, {confirm} to confirm with")
    say(f"threshold {found.file.threshold:.4g}: {found.stricter or found.calibration}")
    if found.stricter:
        say(f"that is for look-alikes; for ordinary prompts {found.calibration.threshold:.4g} would do")
    if found.lookalike.safe:
        safe = found.lookalike.safe
        rate = f"{safe.value:.1%} ({safe.low:.1%} to {safe.high:.1%})"
        say(f"of the {found.lookalike.safe_n} safe prompts of other kinds beside them, look-alikes mostly: {rate}")
    say(f"\nrecipe: {out}\nnext:   clampdown gate check {out}\n        clampdown chat --recipe {out}")


def _row(table: Any, one: "Outcome", name: str) -> None:
    apart = f"{one.auc.value:.3f} ({one.auc.low:.3f} to {one.auc.high:.3f})" if one.auc else "–"
    add_row(table, name, str(one.unsafe_n), rate_cell(one.unsafe), str(one.safe_n), rate_cell(one.safe), apart)
