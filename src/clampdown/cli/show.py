"""`clampdown show`: print what a recipe, an SAE or a finished study holds."""

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.in_words import in_words, in_words_key
from clampdown.cli.options import add_json, command
from clampdown.cli.terminal import one_line, print_facts, print_json, print_table, say
from clampdown.errors import ClampdownError
from clampdown.reading import read_text
from clampdown.recipe import Clamp, Recipe
from clampdown.recipe.bundled import BUNDLED, COME_ALONG, recipe_path

if TYPE_CHECKING:
    from clampdown.steering.gates.gate_file import GateFile

_EXAMPLE = """  clampdown show                               the default recipe, guarded; `show refusal` has no gate
  clampdown show refusal.toml
  clampdown show my-sae/sae.safetensors
  clampdown show clampdown-studies/guarded-quick-0123456789"""


def add_parser(subparsers: Any) -> None:
    said = "Print what a recipe, an SAE or a finished study holds."
    parser = command(subparsers, "show", "print what a recipe, an SAE or a study holds", said, _EXAMPLE)
    parser.add_argument(
        "thing", metavar="THING", nargs="?", help="file, folder, SAE, or recipe that comes along (default: guarded)"
    )
    add_json(parser, "it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.thing is None:
        from clampdown.library import DEFAULT_RECIPE, default_recipe

        return _recipe(default_recipe(), DEFAULT_RECIPE, args.json)
    path = recipe_path(args.thing)
    if path.is_file() and (path.suffix == ".toml" or args.thing in BUNDLED):
        return _toml(path, args.json)
    if path.is_dir() and (path / "results.json").is_file():
        return _study(path / "results.json", args.json)
    if path.name == "study.sqlite" or (path.is_dir() and (path / "study.sqlite").is_file()):
        return _study((path if path.is_dir() else path.parent) / "results.json", args.json)
    if path.suffix == ".json" and path.is_file():
        return _study(path, args.json)
    return _sae(args.thing, path, args.json)


def _toml(path: Path, as_json: bool) -> int:
    """A recipe, or else a study file."""
    try:
        body = tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError):
        body = {"edits": []}  # the recipe's reader says what is wrong with it
    if "edits" in body or isinstance(body.get("model"), dict) or not body:
        return _recipe(Recipe.load(path), path, as_json)
    from clampdown.studies.study_file import read_study_file

    plan = read_study_file(path).plan.to_dict()
    if as_json:
        print_json({"plan": plan})
    else:
        print_facts({f"plan {in_words_key(key)}": in_words(value) for key, value in plan.items()})
    return 0


def _recipe(recipe: Recipe, path: Path, as_json: bool) -> int:
    from clampdown.cli.readings import print_clamped, readings
    from clampdown.steering.gates.gate_file import read_gate

    if as_json:
        print_json({"recipe": recipe.to_dict(), "sha256": recipe.sha256})
        return 0
    gate = read_gate(recipe.gate) if recipe.gate is not None and recipe.gate.file else None
    print_facts(
        {
            "recipe": recipe.name,
            "sha256": recipe.sha256,
            "model": f"{recipe.model} ({recipe.model_sha256[:12] or 'any weights'})",
            "positions": str(recipe.positions),
            "gate": str(recipe.gate or ""),
            "system": recipe.system_prompt,
            "note": recipe.note,
        }
    )
    for number, edit in enumerate(recipe.edits, 1):
        if isinstance(edit, Clamp):
            does = "" if edit.operation == "set" else f", {edit.operation}"
            say(f"\nedit {number}: clamp at layer {edit.layer}, rule {edit.rule}{does}")
            say(f"SAE {one_line(edit.sae)} ({one_line(edit.sae_sha256[:12]) or 'any'})")
            print_clamped(edit, readings(edit.sae_sha256, path))
            _pages(edit)
        else:
            vector = f"seed {edit.seed}" if edit.seed is not None else f"{len(edit.values)} values"
            say(f"\nedit {number}: {edit.operation} a direction ({vector}) × {edit.strength:g} at layer {edit.layer}")
    if gate is not None and recipe.gate is not None:
        _gate(gate, recipe.gate.threshold)
    return 0


def _pages(clamp: Clamp) -> None:
    """Where Neuronpedia shows each latent of a published SAE."""
    from clampdown.saes.directory import neuronpedia_of, neuronpedia_page

    if called := neuronpedia_of(clamp.sae):
        for latent in clamp.values:
            say(f"{latent:>8} {neuronpedia_page(called)}/{latent}")


def _gate(file: "GateFile", own: float | None) -> None:
    """What a gate's file reads, and where it opens: at the recipe's own threshold, where it has one."""
    threshold = file.threshold if own is None else own
    say(f"\ngate: open where a prompt's score reaches {threshold:g} (bias {file.bias:g})")
    for part in file.parts:
        say(f"layer {part.layer:>2}: {one_line(str(part))}", wrap=True)
    if file.hidden is not None:
        say(f"hidden layer: {file.hidden}")
    if file.windows is not None:
        say(f"hidden layer of windows, the highest counts: {file.windows}")
    if file.words is not None:
        say(f"words: {file.words}")
    if file.about:
        say()
        print_facts({in_words_key(name): in_words(value) for name, value in file.about.items()})


def _sae(name: str, path: Path, as_json: bool) -> int:
    from clampdown.saes.formats import matching
    from clampdown.saes.load import load_sae, names_a_place

    if not path.exists() and not names_a_place(name):
        raise ClampdownError(
            f"nothing to show at {name!r}; name a recipe (.toml), an SAE or a study's folder; {COME_ALONG}"
        )
    unknown = path.exists() and path.suffix != ".safetensors" and matching(path) is None
    if unknown and path.is_dir() and not list(path.glob("*.safetensors")):
        raise ClampdownError(f"folder {name} holds neither a study's results.json nor an SAE (.safetensors)")
    if unknown and path.is_file():
        raise ClampdownError(f"{name} is no recipe (.toml), SAE (.safetensors) or study (folder, results.json)")
    sae = load_sae(name)
    facts: dict[str, Any] = {
        "sae": sae.name,
        "sha256": sae.sha256,
        "kind": sae.kind,
        "model": sae.model,
        "layer": sae.layer,
        "latents": sae.n_latents,
        "width": sae.d_model,
        "k": sae.k,
        "normalise": sae.normalise,
        "maxima": sae.maximum is not None,
    }
    if as_json:
        print_json(facts | {"about": sae.about})
    else:
        said = facts | {"maxima": "yes" if facts["maxima"] else 'no, so values such as "1.5x" can\'t be used with it'}
        said["normalise"] = in_words_key(sae.normalise)
        # What an SAE says about itself must not pass for what we found.
        about = {f"about {key}" if key in said else in_words_key(key): in_words(v) for key, v in sae.about.items()}
        print_facts(said | about)
        _latents(sae.sha256)
    return 0


def _latents(sae_sha256: str) -> None:
    """What is known of an SAE's latents."""
    from clampdown.cli.readings import UNKNOWN, readings, told

    if known := readings(sae_sha256):
        say()
        print_facts({f"latent {latent}": told(known[latent]) for latent in sorted(known)})
    else:
        say(f"\n{UNKNOWN} of its latents; `clampdown find --sae` tells what those behind refusals mean", wrap=True)


def _study(path: Path, as_json: bool) -> int:
    if not path.is_file():
        raise ClampdownError(f"the study in {path.parent} is not finished: run the same `clampdown study` again")
    from clampdown.cli.tables import arms_table
    from clampdown.studies.damage import FAULTS, parsed

    try:
        results = parsed(path.read_text(encoding="utf-8"))
        if not str(results["schema"]).startswith("clampdown-study/"):
            raise ValueError(results["schema"])
        facts, table = _study_facts(results, path.parent), arms_table(results)
    except (OSError, *FAULTS) as error:
        kept = (path.parent / "study.sqlite").is_file()
        remedy = f"`clampdown report {path.parent}` writes it again" if kept else "run the study again"
        raise ClampdownError(f"{path} is damaged, or not a study's results; {remedy}") from error
    if as_json:
        print_json(results)
    else:
        print_facts(facts)
        print_table(table)
    return 0


def _study_facts(results: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {
        "study": results["title"],
        "made": results.get("created", ""),
        "model": results["model"]["name"],
        "plan": f"{results['plan']['name']}, seed {results['plan']['seed']}",
        "recipe": (results.get("recommended") or {}).get("path", ""),
        "report": folder / "report.html",
        "missing": ", ".join(arm["label"] for arm in results.get("missing") or ()),
    }
