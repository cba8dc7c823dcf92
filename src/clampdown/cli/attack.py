"""`clampdown attack`: run one attack against a model, without steering and under recipes, and count what came of it."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clampdown.cli.loading import load_model
from clampdown.cli.options import (
    RECIPE,
    add_force,
    add_json,
    add_model,
    add_outside_gate,
    check_writable,
    command,
    out_path,
    positive,
    recipe_file,
    set_file,
    temperature,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.terminal import print_json, print_table, say
from clampdown.errors import ClampdownError
from clampdown.progress import Progress
from clampdown.writing import json_text, write_whole

if TYPE_CHECKING:
    from clampdown.measuring.attacks.conversation import Target
    from clampdown.measuring.attacks.outcome import Outcome

KINDS = ("scripted", "crescendo", "pair", "best-of-n", "templates", "suffixes", "past-tense")
_OPTIONS = ("attacker", "judge", "attacker_prompt", "templates", "suffixes", "n", "cluster", "limit", "seed")
_OWN = {"turns": "crescendo", "backtracks": "crescendo", "streams": "pair", "depth": "pair"}
"""Options of one attack alone."""
_FIELDS = {"turns": "max_turns", "backtracks": "max_backtracks"}
SCHEMA = "clampdown-attack/1"
_EXAMPLE = """  clampdown attack scripted turns.jsonl              the model's own answers between the file's turns
  clampdown attack best-of-n -n 20 --limit 40        built-in unsafe requests, in 20 noisy spellings each
  clampdown attack crescendo goals.jsonl --attacker openai:M@http://localhost:8000/v1 \\
      --judge openai:M@http://localhost:8000/v1 --recipe weak.toml strong.toml --out records.jsonl"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Attack the model without steering and under each recipe, with the same goals and seeds, and count refusals "
        "and compliance, at the end and at any turn. Only a judge of harm can call an attack a success: name one with "
        "--judge."
    )
    parser = command(subparsers, "attack", "run an attack without steering and under recipes", said, _EXAMPLE)
    parser.add_argument("attack", choices=KINDS, help=", ".join(KINDS), metavar="ATTACK")
    files = "goals, as `study --unsafe` takes them (default: the built-in ones); for scripted, JSONL with user_turns"
    parser.add_argument("file", metavar="FILE", nargs="?", type=set_file, help=files)
    add_model(parser, "the one the recipe names")
    said = f"{RECIPE} (default: guarded)"
    parser.add_argument("--recipe", metavar="FILE", nargs="+", type=recipe_file, help=said)
    parser.add_argument(
        "--target", metavar="T", help="attack this endpoint instead, openai:MODEL@URL; no recipe is used"
    )
    add_outside_gate(parser)
    models = "openai:MODEL@URL (perhaps with ?temperature=T&max_tokens=N behind it), a folder or a hub id"
    parser.add_argument("--attacker", metavar="A", default="", help=f"for crescendo, pair, past-tense: {models}")
    judges = "or wildguard[:MODEL], harmbench[:MODEL], strongreject:MODEL@URL"
    parser.add_argument("--judge", metavar="J", default="", help=f"judge of harm: {models}, {judges}")
    parser.add_argument(
        "--attacker-prompt",
        metavar="FILE",
        default="",
        help="text, YAML or JSONL (FILE#NAME), or pyrit (default: ours)",
    )
    parser.add_argument(
        "--templates", metavar="FILE", default="", help="templates with {prompt} (default: three of ours)"
    )
    parser.add_argument("--suffixes", metavar="FILE", default="", help="suffixes, one a line")
    parser.add_argument("-n", type=positive, default=10, help="spellings a goal of best-of-n (default: 10)")
    parser.add_argument("--turns", metavar="N", type=positive, help="of crescendo, at most (default: 10)")
    parser.add_argument("--backtracks", metavar="N", type=whole, help="of crescendo, at most (default: 10)")
    parser.add_argument("--streams", metavar="N", type=positive, help="of pair, side by side (default: 3)")
    parser.add_argument("--depth", metavar="N", type=positive, help="prompts in each stream of pair (default: 5)")
    parser.add_argument(
        "--cluster", metavar="COLUMN", default="cluster", help="rows of scripted that share it go together"
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="at most N goals, drawn by the seed")
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    said = "of what is attacked: 0 is greedy (default); 1 samples freely"
    parser.add_argument("--temperature", metavar="T", type=temperature, default=0.0, help=said)
    parser.add_argument("--max-new-tokens", metavar="N", type=positive, default=64, help="of each answer (default: 64)")
    parser.add_argument("--batch", metavar="N", type=positive, default=16, help="goals attacked together (default: 16)")
    parser.add_argument(
        "--out", metavar="FILE", type=out_path, help="write every goal's record there, with texts (JSONL)"
    )
    add_force(parser)
    add_json(parser, "rates, intervals and differences")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with ProgressBar() as progress:
        progress("starting", 0, 0)
        from clampdown.measuring.attacks.rates import compare
        from clampdown.measuring.attacks.run import run_attack
        from clampdown.measuring.attacks.spec import AttackSpec
        from clampdown.measuring.attacks.surprising import judged_together
        from clampdown.measuring.judging.looping import ROOM

        if args.out:
            check_writable(args.out, force=args.force)
        named = {key: value for key in _OPTIONS if (value := getattr(args, key)) is not None} | _own(args)
        spec = AttackSpec(args.attack, goals=str(args.file or ""), **named)
        goals, attack = spec.load_goals(), spec.build()
        arms: dict[str, list[Outcome]] = {}
        for name, target in _targets(args, progress).items():
            arms[name] = run_attack(attack, goals, target, batch=args.batch, progress=_named(progress, name))
    judged, limit = judged_together(arms)
    rows = compare(judged, args.seed, room=args.max_new_tokens >= ROOM)
    if args.out:
        _write(args.out, judged)
    if args.json:
        told = {"schema": SCHEMA, "attack": attack.name, "goals": len(goals), "babble_limit": limit, "arms": rows}
        print_json(told | {"remarks": _remarks(judged)})
    else:
        _print(rows)
        for remark in _remarks(judged):
            say(remark)
    return 0


def _own(args: argparse.Namespace) -> dict[str, int]:
    """The options of one attack alone that were given, as AttackSpec calls them."""
    given = {key: value for key in _OWN if (value := getattr(args, key)) is not None}
    for key in given:
        if _OWN[key] != args.attack:
            raise ClampdownError(f"--{key} is for {_OWN[key]}; {args.attack} has no use of it, so leave it out")
    return {_FIELDS.get(key, key): value for key, value in given.items()}


def _targets(args: argparse.Namespace, progress: Progress) -> "dict[str, Target]":
    """What is attacked, by name: an endpoint alone, or the model without steering and under each recipe."""
    from clampdown.measuring.attacks.conversation import EndpointTarget, SteeredTarget
    from clampdown.measuring.endpoint.client import Endpoint

    if args.target:
        if args.recipe or args.model:
            raise ClampdownError("--target names an endpoint, which --recipe and --model can't reach; leave them out")
        return {args.target: EndpointTarget(Endpoint.parse(args.target), args.max_new_tokens, args.temperature)}
    from clampdown import library
    from clampdown.engine.request import Sampling
    from clampdown.measuring.judging.outside_gate import decides_outside, outside_gate
    from clampdown.recipe import Recipe

    recipes = [Recipe.load(path) for path in args.recipe] if args.recipe else [library.default_recipe()]
    asking: list[Recipe | None] = [recipe for recipe in recipes if decides_outside(recipe)]
    outside = {recipe: outside_gate(recipe, args.gate_endpoint, args.gate_model) for recipe in asking or [None]}
    model = load_model(args.model or recipes[0].model, args, progress)
    for recipe in recipes:
        model.check(recipe)
    sampling = Sampling(args.max_new_tokens, args.temperature)
    found: dict[str, Target] = {"none": SteeredTarget(model.chat, None, sampling, weigh=True)}
    for number, recipe in enumerate(recipes, 1):
        name = recipe.name if recipe.name and recipe.name not in found else f"{recipe.name or 'recipe'} ({number})"
        found[name] = SteeredTarget(model.chat, recipe, sampling, weigh=True, outside=outside.get(recipe))
    return found


def _named(progress: Progress, arm: str) -> Progress:
    def told(stage: str, done: int, total: int, remark: str = "") -> None:
        progress(f"{stage}: {arm}", done, total, remark)

    return told


def _write(path: Path, arms: "Mapping[str, Sequence[Outcome]]") -> None:
    """All records, whole or not at all."""
    lines = [json_text({"arm": arm} | o.to_dict()) for arm, some in arms.items() for o in some]
    write_whole(path, "".join(f"{line}\n" for line in lines))


def _remarks(arms: "Mapping[str, Sequence[Outcome]]") -> list[str]:
    """What stood in the way of an answer or of its rating, a sentence for each kind and arm."""
    from clampdown.measuring.attacks.scoring import UNRATED

    found = []
    for arm, outcomes in arms.items():
        turns = [turn for outcome in outcomes for turn in outcome.turns]
        if blocked := sum(turn.blocked for turn in turns):
            found.append(f"{arm}: a content filter kept back {blocked} of {len(turns)} answers; they count as refusals")
        unrated = Counter(turn.why for turn in turns if turn.success is None and turn.why.startswith(UNRATED))
        found += [f"{arm}: of {n} answers {why}" for why, n in unrated.most_common()]
    return found


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    from clampdown.cli.tables import add_row, plain_table

    shown = {"refused": "refused", "refused_at_any": "at any turn", "complied_at_any": "complied at any turn"}
    shown |= {"looping": "looping", "incoherent": "babble", "attack_success": "attack success"}
    shown |= {"gate_open": "gate open"}
    used = {key: head for key, head in shown.items() if any(r["metric"] == key for row in rows for r in row["rates"])}
    table = plain_table("arm", "goals", *used.values(), "refused, against the first", right=list(used.values()))
    for row in rows:
        rates = {r["metric"]: r for r in row["rates"]}
        against = row["against_first"].get("refused")
        cells = [_rate(rates.get(key)) for key in used]
        add_row(table, row["arm"], f"{rates['unscored']['n']} {row['kind']}", *cells, _difference(against))
    print_table(table)


def _rate(found: Mapping[str, Any] | None) -> str:
    return f"{found['value']:.0%} ({100 * found['low']:.0f}–{100 * found['high']:.0f})" if found else "–"


def _difference(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "–"
    bounds = "" if found["low"] is None else f" ({100 * found['low']:+.0f} to {100 * found['high']:+.0f})"
    return f"{100 * found['value']:+.0f} points{bounds}".replace("-", "−")
