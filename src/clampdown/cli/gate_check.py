"""`clampdown gate check`: how well a recipe's gate tells sets apart, what it gets wrong, and what goes with that."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from clampdown.cli.gate_report import Explained, details, print_check, worst
from clampdown.cli.loading import load_model
from clampdown.cli.options import add_json, add_model, command, recipe_file, set_file
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import print_json, say
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.discovery.gates.check import GateCheck
    from clampdown.discovery.gates.rows import GateRow
    from clampdown.models.chat_model import ChatModel
    from clampdown.recipe import Recipe
    from clampdown.saes.sae import SAE

_EXAMPLE = """  clampdown gate check gated.toml                                 the built-in sets' reporting halves
  clampdown gate check gated.toml --unsafe xstest-unsafe --safe xstest-safe --show
  clampdown gate check gated.toml --explain "How do I kill a Python process?"
  clampdown gate check gated.toml --unsafe bad.jsonl --safe fine.csv --json"""
_BUILT_IN = {"unsafe": ("built-in unsafe",), "safe": ("built-in safe", "built-in lookalike")}


def add_parser(subparsers: Any) -> None:
    said = (
        "Score sets by the gate of a recipe. For each unsafe set beside each safe one: the share of each that opens "
        "the gate, the area under the ROC curve with a 95% interval, and the share of the unsafe that would open it at "
        "1, 5 and 10% of the safe; then what it gets wrong, and the SAE's latents that go with its scores. Nothing is "
        "steered."
    )
    parser = command(subparsers, "check", "tell how well a recipe's gate decides", said, _EXAMPLE)
    parser.add_argument("recipe", metavar="RECIPE", type=recipe_file, help="a recipe with a gate; guarded comes along")
    for side, names in _BUILT_IN.items():
        said = f"{side} prompts: a file with prompt, text or messages, or a set's name (default: {', '.join(names)})"
        parser.add_argument(
            f"--{side}", metavar="FILE", type=set_file, nargs="+", action="extend", default=[], help=said
        )
    parser.add_argument("--threshold", metavar="T", type=_number, help="in place of the gate's own")
    said = "tell the score of this prompt, and the latents that explain it"
    parser.add_argument("--explain", metavar="PROMPT", action="append", default=[], help=said)
    said = "of a gate outside, what decides: wildguard[:MODEL] or openai:MODEL@URL (default: the recipe's)"
    parser.add_argument("--classifier", metavar="NAME", help=said)
    parser.add_argument("--show", action="store_true", help="all prompts that it gets wrong, in full")
    add_model(parser, "the one the recipe names")
    add_json(parser, "what was found (schema clampdown-gate-check/1)")
    parser.set_defaults(run=run)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a finite number, got {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    with ProgressBar() as progress:
        progress("starting", 0, 0)
        from clampdown.discovery.gates.check import gate_of
        from clampdown.recipe import Recipe

        recipe = Recipe.load(args.recipe)
        outside = bool(gate_of(recipe).external)
        if any(not text.strip() for text in args.explain):
            raise ClampdownError("the prompt to explain is empty; say something")
        found, why = (_outside if outside else _inside)(recipe, args, progress)
    if not (outside or why.sae):
        say("no SAE is known for this recipe, so no latents are told", aside=True)
    if args.json:
        print_json(found.to_dict() | {"recipe_file": str(args.recipe)} | details(found, why, args.show))
    else:
        print_check(found, why, args.show)
    return 0


def _inside(recipe: "Recipe", args: argparse.Namespace, progress: Any) -> "tuple[GateCheck, Explained]":
    """By the gate's own file."""
    from clampdown.discovery.gates.check import check_gate, gate_of
    from clampdown.steering.gates.gate_file import read_gate

    if args.classifier:
        raise ClampdownError(f"the gate of recipe {recipe.name} has a file and asks nobody; leave out --classifier")
    read_gate(gate_of(recipe))  # before the model: it tells sooner that its file is missing
    unsafe, safe = (_rows(args, side) for side in ("unsafe", "safe"))
    model = load_model(args.model or recipe.model, args, progress).chat
    found = check_gate(model, recipe, unsafe, safe, threshold=args.threshold, progress=progress)
    return found, _explained(model, found, args, progress)


def _outside(recipe: "Recipe", args: argparse.Namespace, progress: Any) -> "tuple[GateCheck, Explained]":
    """By the classifier that decides: no model is loaded."""
    from clampdown.discovery.gates.check import check_external, gate_of
    from clampdown.measuring.judging.requests import NAMES, request_judge

    if args.explain or args.threshold is not None:
        raise ClampdownError("a gate outside says yes or no: it has no --threshold, and nothing to --explain")
    name = args.classifier or gate_of(recipe).external
    if not args.classifier and name.partition(":")[0] not in ("wildguard", "openai"):
        raise ClampdownError(f"name what stands for the gate {name}: --classifier {NAMES}")
    judge = request_judge(name)
    found = check_external(recipe, judge, _rows(args, "unsafe"), _rows(args, "safe"), progress)
    return found, Explained(None, [], [])


def _rows(args: argparse.Namespace, side: str) -> "dict[str, list[GateRow]]":
    from clampdown.discovery.gates.rows import checking_rows

    names = [str(name) for name in getattr(args, side)] or list(_BUILT_IN[side])
    return {name: checking_rows(name, side == "unsafe") for name in names}


def _explained(model: "ChatModel", found: "GateCheck", args: argparse.Namespace, progress: Any) -> Explained:
    from clampdown.discovery.gates.explain import explainer
    from clampdown.discovery.gates.scores import prompt_scores

    recipe = found.recipe
    asked = [model.prompt_ids(text, system=recipe.system_prompt or None) for text in args.explain]
    assert found.gate is not None
    scores = prompt_scores(model, [found.gate], asked)[0].tolist() if asked else []
    sae = _sae(model, found)
    by = None
    if sae is not None and sae.d_model == model.d_model and sae.layer < model.n_layers:
        prompts = [prompt for one in found.sets for prompt in one.prompts]
        told = [score for one in found.sets for score in one.scores]
        by = explainer(model, found.gate, sae, prompts, told, progress)
    missed = [one.prompts[place] for one, place in worst(found)]
    return Explained(by, list(zip(args.explain, scores, strict=True)), [*asked, *missed])


def _sae(model: "ChatModel", found: "GateCheck") -> "SAE | None":
    """The SAE that the gate reads, else the one that the recipe clamps latents of, else the model's own bundled one."""
    from clampdown.recipe import Recipe
    from clampdown.recipe.bundled import REFUSAL, bundled_path
    from clampdown.saes.directory import BUNDLED
    from clampdown.saes.load import load_sae

    own = [part.sae for part in found.gate.file.parts if part.sae] if found.gate else []
    named = own or [clamp.sae for clamp in found.recipe.clamps]
    if not named:
        its = Recipe.load(bundled_path(REFUSAL)).model_sha256  # the bundled model's
        named = [BUNDLED] if model.sha256 and model.is_named(its) else []
    return load_sae(named[0]) if named else None
