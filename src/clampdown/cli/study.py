"""`clampdown study`: measure what a recipe gains and what it costs, beside its controls."""

import argparse
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.cluster import add_cluster, read_cluster
from clampdown.cli.engines import check_engine, engine_named
from clampdown.cli.loading import load_model
from clampdown.cli.options import (
    RECIPE,
    add_engine,
    add_json,
    add_model,
    add_outside_gate,
    add_sets,
    check_writable,
    command,
    out_path,
    recipe_file,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import print_json, print_table, say
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import KINDS
from clampdown.reading import check_file, read_text

if TYPE_CHECKING:
    from clampdown.measuring.attacks.spec import AttackSpec
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings
    from clampdown.studies.plan import Plan
    from clampdown.studies.study_file import StudyFile

_EXAMPLE = """  clampdown study                              the default recipe, with its gate and without it
  clampdown study refusal.toml --plan full     what one would publish
  clampdown study --unsafe advbench.jsonl harmbench.csv --limit 100 --out results
  clampdown study --attack turns.jsonl --attack best-of-n --capability lm-eval:mmlu letters:mmlu
  clampdown study mine.toml                    a study file: a plan of your own, with model, recipe and sets
  clampdown study --plan full --ray auto       on a Ray cluster's GPUs; --ray alone uses this machine"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Sweep a recipe's strength beside its controls, judge every answer, and write one HTML report. "
        "Killed at any moment, the same command goes on where it was. Kinds of set that you don't name use the "
        "reporting half of the built-in ones."
    )
    parser = command(subparsers, "study", "measure what a recipe gains and costs, and write a report", said, _EXAMPLE)
    parser.add_argument("file", metavar="FILE", nargs="?", type=recipe_file, help="a recipe or a study file (TOML)")
    said = "(default: quick; a study file stands alone)"
    parser.add_argument("--plan", metavar="{quick,full}", type=_plan_name, help=said)
    add_model(parser, "the one the recipe names")
    add_engine(parser)
    parser.add_argument("--recipe", metavar="FILE", type=recipe_file, help=f"{RECIPE} (default: guarded)")
    add_sets(parser, KINDS)
    said = (
        "conversations (JSONL with user_turns), or one of `clampdown attack`'s, also ATTACK=FILE with goals; repeatable"
    )
    parser.add_argument("--attack", metavar="A", action="append", default=[], help=said)
    add_outside_gate(parser)
    parser.add_argument("--include-path", metavar="FOLDER", type=Path, help="of lm-eval task files besides its own")
    parser.add_argument("--seed", metavar="S", type=whole, help="(default: the plan's, 0)")
    parser.add_argument("--out", metavar="FOLDER", type=out_path, help="(default: one below clampdown-studies)")
    parser.add_argument("--dry-run", action="store_true", help="print arms, sets and what n can tell, and stop")
    add_cluster(parser)
    add_json(parser, "the report's and database's paths and the arms")
    parser.set_defaults(run=run, when_stopped="; the same command goes on where it was")


def run(args: argparse.Namespace) -> int:
    from clampdown import library
    from clampdown.measuring.judging.outside_gate import outside_gate
    from clampdown.models.template import is_dated, template_text
    from clampdown.studies.power import power_lines

    cluster = read_cluster(args)
    check_engine(args)
    if cluster is not None and args.engine != "transformers":
        raise ClampdownError(f"a cluster's workers answer by Transformers: leave out --ray, or --engine {args.engine}")
    file = _file(args)
    plan = _with_options(file, args)
    named: dict[str, Any] = {kind: files for kind in KINDS if (files := getattr(args, kind))}
    sets = {**file.sets, **named}
    attacks, tasks = _attacks(file, args, plan), _tasks(file, args)
    with ProgressBar() as progress:  # a bad file shows here, before the model is loaded
        progress("starting", 0, 0)
        ready = library.prepare_study(args.recipe or file.recipe, plan=plan, sets=sets, attacks=attacks, tasks=tasks)
        told = ready.dry_run()
        outside = None if args.dry_run else outside_gate(ready.recipe, args.gate_endpoint, args.gate_model)
    if args.dry_run:
        if args.json:
            print_json(told)
        else:
            say("\n".join(power_lines(told)))
        return 0
    check_writable(args.out or Path("clampdown-studies"), "folder")
    if not args.json:
        say("\n".join(power_lines(told)), aside=True)
    with ProgressBar() as progress:
        model = load_model(args.model or file.model or ready.recipe.model, args, progress)
    if is_dated(template_text(model.tokenizer)) and not args.json:
        said = f"the chat template of {model.name} writes the date: all prompts get that of the study's start"
        say(said, aside=True)
    if model.chat.opens_thought:
        from clampdown.studies.notes import warning

        say(f"note: {warning(model.name, plan)}", aside=True)
    with ProgressBar() as progress:
        engine = None  # without one, what the arms share is read once
        if args.engine != "transformers":
            engine = engine_named(args, model.chat, plan.batch, progress)
        results = ready.run(model.chat, args.out, progress, _first_report, outside, cluster, engine)
    for note in results.get("notes") or []:
        say(f"note: {note}", aside=True)
    if args.json:
        print_json(_short(results))
    else:
        _print(results)
    return 0


def _file(args: argparse.Namespace) -> "StudyFile":
    """What FILE says: a recipe and a study file are told apart by what they hold."""
    from clampdown.studies.plan import named_plan
    from clampdown.studies.study_file import StudyFile, read_study_file

    if args.file is None or _is_recipe(args.file):
        if args.file and args.recipe:
            raise ClampdownError(f"{args.file} is a recipe, and --recipe names another; leave one out")
        return StudyFile(named_plan(args.plan or "quick"), recipe=args.file)
    if args.plan:
        raise ClampdownError(f"{args.file} is a study file with a plan of its own; leave --plan out")
    return read_study_file(args.file)


def _plan_name(text: str) -> str:
    if text in ("quick", "full"):
        return text
    more = f"; {text} goes in place of the recipe: clampdown study {text}" if text.endswith(".toml") else ""
    raise argparse.ArgumentTypeError(f"{text!r} is neither quick nor full{more}")


def _is_recipe(path: Path) -> bool:
    try:
        body = tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        said = getattr(error, "strerror", None) or error
        raise ClampdownError(f"{path} is neither a recipe nor a study file: not valid TOML ({said})") from error
    return "edits" in body or isinstance(body.get("model"), dict)


def _with_options(file: "StudyFile", args: argparse.Namespace) -> Any:
    """The plan, with --seed and --limit in place of its own seed and numbers of items."""
    plan = file.plan if args.seed is None else replace(file.plan, seed=args.seed)
    if args.limit is None:
        return plan
    kinds = [kind for kind in KINDS if kind in plan.items or kind in file.sets or getattr(args, kind)]
    return replace(plan, items=dict.fromkeys(kinds, args.limit))


def _attacks(file: "StudyFile", args: argparse.Namespace, plan: "Plan") -> "list[AttackSpec]":
    """The attacks named by --attack, else those of the study file, with --seed and --limit in place of their own."""
    if not args.attack and not file.attacks:
        return []
    specs = [_attack(text, plan.seed) for text in args.attack] or list(file.attacks)
    own = {key: value for key in ("seed", "limit") if (value := getattr(args, key)) is not None}
    return [replace(spec, **own) for spec in specs]


def _attack(text: str, seed: int) -> "AttackSpec":
    """`A` of --attack: a kind, a kind and a file of goals, or a file of conversations."""
    from clampdown.measuring.attacks.spec import KINDS as ATTACKS
    from clampdown.measuring.attacks.spec import AttackSpec

    kind, sign, goals = text.partition("=")
    if kind in ATTACKS:
        if sign and not goals:
            raise ClampdownError(f"--attack {text} names no file of goals; write one behind the =, or {kind} alone")
        name = ", ".join(filter(None, (kind, Path(goals).stem)))
        return AttackSpec(kind, name, goals, seed=seed)
    path = Path(os.path.expanduser(text))
    if os.path.lexists(path):
        check_file(path, "attack")
    else:
        raise ClampdownError(f"--attack {text}: no such file, and no attack has that name; use {', '.join(ATTACKS)}")
    return AttackSpec("scripted", Path(text).stem, text, seed=seed)


def _tasks(file: "StudyFile", args: argparse.Namespace) -> "TaskSettings | None":
    """How lm-eval's tasks are asked: as the study file says, with --include-path in place of its own."""
    if args.include_path is None:
        return file.tasks
    from clampdown.measuring.capability.lm_eval.tasks import TaskSettings

    return replace(file.tasks or TaskSettings(), include_path=args.include_path.expanduser())


def _short(results: Mapping[str, Any]) -> dict[str, Any]:
    """What --json prints: schema clampdown-study/1 without what only the report needs.

    An arm with a gate says what decides there: `gate`.
    """
    keys = ("set", "kind", "metric", "n", "value", "low", "high")
    arms = [
        {"name": a["name"], "recipe": a["recipe"], "measures": [{k: m[k] for k in keys} for m in a["measures"]]}
        | ({"gate": a["gate"]} if a.get("gate") else {})
        for a in results["arms"]
    ]
    told = {key: results[key] for key in ("schema", "report", "database", "recipe")}
    if chosen := results.get("recommended"):
        told["recommended"] = {key: chosen[key] for key in ("name", "why")}
    return told | {"arms": arms}


def _first_report(results: Mapping[str, Any]) -> None:
    told, left = len(results["arms"]), len(results["missing"])
    say(f"first report, of {told} arms; {left} more will follow into it: {results['report']}", aside=True)


def _print(results: Mapping[str, Any]) -> None:
    from clampdown.cli.tables import arms_table

    print_table(arms_table(results))
    lines: Sequence[tuple[str, str]] = [(key, str(results[key])) for key in ("recipe", "database", "report")]
    for name, path in lines:
        say(f"{name + ':':10}{path}")
