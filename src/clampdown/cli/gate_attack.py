"""`clampdown gate attack`: how a gate holds against somebody who knows it, and what it costs to get past."""

import argparse
import math
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
    set_file,
    whole,
)
from clampdown.cli.progress import ProgressBar
from clampdown.cli.tables import add_row, plain_table, rate_cell
from clampdown.cli.terminal import print_json, print_table, say
from clampdown.errors import ClampdownError
from clampdown.writing import json_text, write_whole

if TYPE_CHECKING:
    from clampdown.discovery.gate_attacks.outcome import Arm, GateAttack
    from clampdown.measuring.attacks.outcome import Goal
    from clampdown.measuring.statistics.rates import Interval

_ATTACKERS = ("decision", "score", "gradient")
_EXAMPLE = """  clampdown gate attack guarded                                  the built-in set's reporting half
  clampdown gate attack guarded --goals goals.jsonl --attacker score --budget 64
  clampdown gate attack gated.toml --half select --out found.jsonl
  clampdown gate fit --unsafe found.jsonl --safe found.jsonl --out harder.toml"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Try to get unsafe requests past the gate of a recipe, by moves that keep each request whole: other words and "
        "spellings, harmless sentences around it, turns before it, and words that are searched by the gate's gradient. "
        "What gets past is answered under the recipe, and counts as complied where the judge says so and the answer "
        "speaks of what was asked. Only goals that open the gate when asked plainly are attacked. No answer is printed "
        "or kept. It tells what this gate costs to beat by these means, and never that it can't be beaten."
    )
    parser = command(subparsers, "attack", "try to get past a recipe's gate", said, _EXAMPLE)
    parser.add_argument("recipe", metavar="RECIPE", type=recipe_file, help="a recipe with a gate; guarded comes along")
    said = "unsafe prompts: a file with prompt or text, or a set's name (default: built-in unsafe)"
    parser.add_argument("--goals", metavar="FILE", type=set_file, help=said)
    said = "of the goals, by a hash of their cluster: select to harden with, report for figures, or all (default: "
    parser.add_argument("--half", choices=("select", "report", "all"), help=f"{said}report; of a file all)")
    said = (
        "who attacks: decision (sees open or shut), score (sees the score), gradient (has the weights) (default: all)"
    )
    parser.add_argument("--attacker", choices=_ATTACKERS, nargs="+", default=list(_ATTACKERS), help=said)
    said = "queries for each goal and attacker: a prompt's score, or a gradient (default: 256)"
    parser.add_argument("--budget", metavar="N", type=positive, default=256, help=said)
    said = "prompts past the gate that are answered for each goal, at most, while none complies (default: 4)"
    parser.add_argument("--answers", metavar="N", type=positive, default=4, help=said)
    said = "words that the gradient searches (default: 12)"
    parser.add_argument("--tokens", metavar="N", type=positive, default=12, help=said)
    parser.add_argument("--max-new-tokens", metavar="N", type=positive, default=64, help="of each answer (default: 64)")
    said = "at most N goals, drawn by the seed (default: 60)"
    parser.add_argument("--limit", metavar="N", type=positive, default=60, help=said)
    parser.add_argument("--seed", metavar="S", type=whole, default=0, help="(default: 0)")
    said = "write prompts that got past there, for `gate fit`, each with a safe one in the same dress (JSONL)"
    parser.add_argument("--out", metavar="FILE", type=out_path, help=said)
    add_force(parser)
    add_model(parser, "the one the recipe names")
    add_json(parser, "rates, intervals and costs (schema clampdown-gate-attack/1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.out:
        check_writable(args.out, force=args.force)
    with ProgressBar() as progress:
        progress("starting", 0, 0)
        from clampdown.discovery.gate_attacks.run import AttackOptions, attack_gate
        from clampdown.discovery.gates.check import gate_of
        from clampdown.recipe import Recipe
        from clampdown.steering.gates.gate_file import read_gate

        recipe = Recipe.load(args.recipe)
        if gate_of(recipe).external:
            raise ClampdownError(f"the gate of recipe {recipe.name} decides outside, where no search reaches it")
        read_gate(gate_of(recipe))  # before the model: it tells sooner that its file is missing
        options = AttackOptions(args.attacker, args.budget, args.answers, args.tokens, args.max_new_tokens, args.seed)
        goals = _goals(args)
        model = load_model(args.model or recipe.model, args, progress)
        model.check(recipe)
        found = attack_gate(model.chat, recipe, goals, options, progress)
    out = _written(args.out, found, args.seed) if args.out else None
    if args.json:
        print_json(found.to_dict() | {"recipe_file": str(args.recipe), "out": str(out or "")})
    else:
        _print(found, out)
    return 0


def _goals(args: argparse.Namespace) -> "list[Goal]":
    from clampdown.measuring.attacks.outcome import Goal
    from clampdown.measuring.sets.named.finding import find_set
    from clampdown.measuring.sets.sets import builtin_set

    built_in = args.goals is None or str(args.goals) == "built-in unsafe"
    items = builtin_set("unsafe") if built_in else find_set("unsafe", str(args.goals))
    half = args.half or ("report" if built_in else "all")
    items = items if half == "all" else items.half(half)
    return [Goal.of(item) for item in items.sample(args.limit, args.seed).items]


def _written(path: Path, found: "GateAttack", seed: int) -> Path | None:
    """The file of what was found; None where nothing was, and so there is none."""
    from clampdown.discovery.gate_attacks.found import found_rows

    rows = list(found_rows(found, seed))
    if not rows:
        say(f"nothing got past the gate, so {path} is not written", aside=True)
        return None
    write_whole(path, "".join(f"{json_text(row)}\n" for row in rows))
    return path


def _print(found: "GateAttack", out: Path | None) -> None:
    say(f"gate of {found.recipe.name}: {len(found.opened)} of {len(found.goals)} goals open it when asked plainly\n")
    heads = ("goals", "past the gate", "and complied", "queries to pass", "to comply", "tokens added")
    table = plain_table("attacker", *heads, right=heads)
    for arm in found.arms:
        told = arm.to_dict()
        rates = [rate_cell(arm.rate(what)) for what in ("past", "complied")]
        costs = [_cost(arm.queries(what)) for what in ("past", "complied")]
        added = told["tokens_added"]["value"]
        add_row(table, _name(arm), str(len(arm.outcomes)), *rates, *costs, "–" if added is None else f"{added:g}")
    print_table(table)
    say(f"queries: the median over goals with its 95% interval; the budget was {found.budget}")
    say(f"without the recipe and asked plainly, it complies with {rate_cell(found.unsteered)} of these goals")
    say("this is what these attackers needed; another may need less")
    if out:
        say(f"\nfound: {out}\nnext:  clampdown gate fit --unsafe {out} --safe {out} --out harder.toml")


def _name(arm: "Arm") -> str:
    return {"decision": "sees open or shut", "score": "sees the score", "gradient": "has the weights"}[arm.name]


def _cost(one: "Interval") -> str:
    """A median number of queries, with its bounds; not reached where the search ended first."""

    def told(value: float) -> str:
        return f"{value:g}" if math.isfinite(value) else "not reached"

    return "–" if math.isnan(one.value) else f"{told(one.value)} ({told(one.low)} to {told(one.high)})"
