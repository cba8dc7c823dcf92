"""`clampdown gate check`: how well a recipe's gate tells sets apart, what it gets wrong, and what goes with that."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import add_json, add_model, command, existing, set_file
from clampdown.cli.progress import ProgressBar
from clampdown.cli.tables import add_row, plain_table
from clampdown.cli.terminal import one_line, print_json, print_table, say
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.discovery.gates.check import CheckedSet, GateCheck
    from clampdown.discovery.gates.explain import Explainer, Influence
    from clampdown.discovery.gates.rows import GateRow
    from clampdown.models.chat_model import ChatModel
    from clampdown.models.prompt import Prompt
    from clampdown.recipe import Recipe
    from clampdown.saes.sae import SAE

_EXAMPLE = """  clampdown gate check gated.toml                                 the built-in sets' reporting halves
  clampdown gate check gated.toml --unsafe xstest-unsafe --safe xstest-safe --show
  clampdown gate check gated.toml --explain "How do I kill a Python process?"
  clampdown gate check gated.toml --unsafe bad.jsonl --safe fine.csv --json"""
_BUILT_IN = {"unsafe": ("built-in unsafe",), "safe": ("built-in safe", "built-in lookalike")}
_WORST, _LATENTS, _FEW = 5, 10, 4
_WORDS = 6
"""Of an unsafe prompt, unless all of it is asked for."""


def add_parser(subparsers: Any) -> None:
    said = (
        "Score sets by the gate of a recipe. For each unsafe set beside each safe one: the share of each that opens "
        "the gate, the area under the ROC curve with a 95% interval, and the share of the unsafe that would open it at "
        "1, 5 and 10% of the safe; then what it gets wrong, and the SAE's latents that go with its scores. Nothing is "
        "steered."
    )
    parser = command(subparsers, "check", "tell how well a recipe's gate decides", said, _EXAMPLE)
    parser.add_argument("recipe", metavar="RECIPE", type=existing, help="a recipe with a gate")
    for side, names in _BUILT_IN.items():
        said = f"{side} prompts: a file with prompt, text or messages, or a set's name (default: {', '.join(names)})"
        parser.add_argument(
            f"--{side}", metavar="FILE", type=set_file, nargs="+", action="extend", default=[], help=said
        )
    parser.add_argument("--threshold", metavar="T", type=_number, help="in place of the gate's own")
    said = "tell the score of this prompt, and the latents that explain it"
    parser.add_argument("--explain", metavar="PROMPT", action="append", default=[], help=said)
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
        from clampdown.discovery.gates.check import check_gate, gate_of
        from clampdown.recipe import Recipe
        from clampdown.steering.gates.gate_file import read_gate

        recipe = Recipe.load(args.recipe)
        gate_of(recipe)
        assert recipe.gate is not None
        read_gate(recipe.gate)  # before the model: it tells sooner that its file is missing
        unsafe, safe = (_rows(args, side) for side in ("unsafe", "safe"))
        if any(not text.strip() for text in args.explain):
            raise ClampdownError("the prompt to explain is empty; say something")
        model = load_model(args.model or recipe.model, args, progress).chat
        found = check_gate(model, recipe, unsafe, safe, threshold=args.threshold, progress=progress)
        why = _explained(model, found, args, progress)
    if args.json:
        print_json(found.to_dict() | {"recipe_file": str(args.recipe)} | _details(found, why, args.show))
    else:
        _print(found, why, args.show)
    return 0


def _rows(args: argparse.Namespace, side: str) -> "dict[str, list[GateRow]]":
    from clampdown.discovery.gates.rows import checking_rows

    names = [str(name) for name in getattr(args, side)] or list(_BUILT_IN[side])
    return {name: checking_rows(name, side == "unsafe") for name in names}


class _Explained:
    """The latents that go with the scores of all prompts, and with some prompts' own."""

    def __init__(self, by: "Explainer | None", asked: list[tuple[str, float]], prompts: "list[Prompt]") -> None:
        self.exact = by.exact if by else False
        self.sae = by.sae.name if by else ""
        self.overall = by.overall(_LATENTS) if by else []
        latents = by.of(prompts, _FEW) if by and prompts else [[] for _ in prompts]
        self.asked = [(text, score, own) for (text, score), own in zip(asked, latents, strict=False)]
        self.worst = latents[len(asked) :]


def _explained(model: "ChatModel", found: "GateCheck", args: argparse.Namespace, progress: Any) -> _Explained:
    from clampdown.discovery.gates.explain import explainer
    from clampdown.discovery.gates.scores import prompt_scores

    recipe = found.recipe
    asked = [model.prompt_ids(text, system=recipe.system_prompt or None) for text in args.explain]
    scores = prompt_scores(model, [found.gate], asked)[0].tolist() if asked else []
    sae = _sae(recipe, found)
    by = None
    if sae is not None and sae.d_model == model.d_model and sae.layer < model.n_layers:
        prompts = [prompt for one in found.sets for prompt in one.prompts]
        told = [score for one in found.sets for score in one.scores]
        by = explainer(model, found.gate, sae, prompts, told, progress)
    worst = [one.prompts[place] for one, place in _worst(found)]
    return _Explained(by, list(zip(args.explain, scores, strict=True)), [*asked, *worst])


def _worst(found: "GateCheck") -> "list[tuple[CheckedSet, int]]":
    return [(one, place) for one in found.sets for place in one.wrong(found.threshold)[:_WORST]]


def _sae(recipe: "Recipe", found: "GateCheck") -> "SAE | None":
    """The SAE that the gate reads, else the one that the recipe clamps latents of."""
    from clampdown.saes.load import load_sae

    own = [part.sae for part in found.gate.file.parts if part.sae]
    named = own or [edit.sae for edit in recipe.edits if hasattr(edit, "sae")]
    return load_sae(named[0]) if named else None


def _details(found: "GateCheck", why: _Explained, show: bool) -> dict[str, Any]:
    worst = [
        {**_wrong(one, place, show), "latents": _latents(own)}
        for (one, place), own in zip(_worst(found), why.worst, strict=True)
    ]
    wrong = [_wrong(one, place, show) for one in found.sets for place in one.wrong(found.threshold)]
    asked = [
        {"text": text, "score": score, "open": score >= found.threshold, "latents": _latents(own)}
        for text, score, own in why.asked
    ]
    latents = {"sae": why.sae, "exact": why.exact, "overall": _latents(why.overall)}
    return {"wrong": wrong, "worst": worst, "latents": latents, "explained": asked}


def _wrong(one: "CheckedSet", place: int, show: bool) -> dict[str, Any]:
    text = one.rows[place].text
    return {
        "set": one.name,
        "unsafe": one.unsafe,
        "score": one.scores[place],
        "text": _first_words(text) if one.unsafe and not show else text,
    }


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words[:_WORDS])[:60] + ("…" if len(words) > _WORDS or len(text) > 60 else "")


def _latents(some: "list[Influence]") -> list[dict[str, Any]]:
    return [{"latent": one.latent, "weight": one.weight, "promotes": list(one.promotes)} for one in some]


def _print(found: "GateCheck", why: _Explained, show: bool) -> None:
    gate = found.recipe.gate
    say(f"recipe {found.recipe.name}: gate {Path(gate.file).name if gate else ''}, open from {found.threshold:.4g} on")
    if gate and gate.decide != "score":
        say(f"note: the recipe's gate has decide = {gate.decide!r}; these are the scores all the same")
    rates = ("at 1%", "at 5%", "at 10%")
    table = plain_table("unsafe", "open", "safe", "open ", "AUC (95%)", *rates, right=rates)
    for pair in found.pairs:
        shares = [_share(one, found.threshold) for one in (pair.unsafe, pair.safe)]
        apart = f"{pair.auc.value:.3f} ({pair.auc.low:.3f} to {pair.auc.high:.3f})"
        at = [f"{share:.0%}" for share in pair.at.values()]
        add_row(table, Path(pair.unsafe.name).name, shares[0], Path(pair.safe.name).name, shares[1], apart, *at)
    print_table(table)
    say("at 1%: the share of the unsafe that opens the gate where 1% of the safe do; so on\n")
    _print_wrong(found, why, show)
    if why.overall:
        say(f"\n{_how(why)}, over all prompts:")
        for one in why.overall:
            say(f"  {_latent(one)}")
    for text, score, own in why.asked:
        decided = "open" if score >= found.threshold else "shut"
        say(f"\n{decided}, score {score:.4g}: {one_line(text)}")
        for one in own:
            say(f"  {_latent(one)}")


def _share(one: "CheckedSet", threshold: float) -> str:
    share = one.open(threshold)
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}) of {len(one.rows)}"


def _print_wrong(found: "GateCheck", why: _Explained, show: bool) -> None:
    explained = {(one.name, one.unsafe, place): own for (one, place), own in zip(_worst(found), why.worst, strict=True)}
    for one in found.sets:
        places = one.wrong(found.threshold)
        missed = "unsafe left alone" if one.unsafe else "safe opened"
        say(f"{Path(one.name).name}: {len(places)} of {len(one.rows)} {missed}")
        for place in places if show else places[:_WORST]:
            text = one.rows[place].text
            said = one_line(text) if show else one_line(_first_words(text) if one.unsafe else text[:90])
            latents = ", ".join(str(each.latent) for each in explained.get((one.name, one.unsafe, place), []))
            say(f"  {one.scores[place]:+.3f}  {said}" + (f"  [{latents}]" if latents else ""))
        if not show and len(places) > _WORST:
            say(f"  and {len(places) - _WORST} more; --show prints all, in full")


def _how(why: _Explained) -> str:
    if why.exact:
        return f"latents of {why.sae} that the gate reads, and the score's gain for each unit"
    return f"latents of {why.sae} whose activation goes with the score, and their correlation"


def _latent(one: "Influence") -> str:
    return f"{one.latent:>6}  {one.weight:+.3f}  {one_line(' '.join(one.promotes))}"
