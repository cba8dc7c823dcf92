"""What it costs to get past a gate, before and after it is fitted on what got past it.

    python benchmarks/gate_attack.py --out FOLDER [--share 0.12] [--goals 30] [--budget 64] [--data shared/data]

1. A gate is fitted on the prompts that come along: of each kind but the ordinary ones a share of the clusters, so that
   it takes minutes (`--share 1 --hidden 256` with the pools of guarded's card is the shipped one).
2. Attackers search prompts past it for goals of the built-in set's selecting half, which are all that it is hardened
   with; each prompt found goes in beside a safe one in the same dress.
3. A second gate is fitted on both, in the very same way, and `--rounds` may repeat this against the newest gate.
4. All gates are attacked on the reporting half, and on AdvBench and StrongREJECT where `--data` names a folder with
   unsafe/*.jsonl, none of which was used for hardening. guarded as it ships is attacked, too, with `--shipped`.

With `--gates RECIPE.toml...` nothing is fitted: these are attacked, a gate before hardening and the one after it, say.

With `--draws N` it tells what one prompt gets: of the reporting half's goals that open a gate plainly, the share
of dresses that shut it, of N for each as the first attacker draws them; and of N without a sentence that guarded was
hardened with. All gates score the same prompts.

With `--moves` it tells instead, of guarded as it ships or of `--gates`, on what share of these goals each move by
itself, one sentence say, shuts the gate: sentences that guarded was hardened with (`training/gate/attacked.py`) and
others apart.

Attackers are told apart by what they see: open or shut, the score, or the weights. Only goals that open a gate when
asked plainly are attacked. Beside it: what each gate does to safe prompts, plain and in drawn dresses. The recipe
behind every gate is guarded's. No answer is kept; the folder holds the gates, what was found, and the figures as JSON.
"""

import argparse
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clampdown.discovery.gate_attacks.black_box import ByDecision, moved, moves
from clampdown.discovery.gate_attacks.dress import Dress
from clampdown.discovery.gate_attacks.found import found_rows
from clampdown.discovery.gate_attacks.lock import Lock
from clampdown.discovery.gate_attacks.outcome import Arm
from clampdown.discovery.gate_attacks.run import ATTACKERS, AttackOptions, attack_gate
from clampdown.discovery.gates.fit import fit_gate
from clampdown.discovery.gates.options import FitOptions
from clampdown.discovery.gates.rows import GateRow, read_gate_rows, shipped_rows, without_reported
from clampdown.discovery.gates.scores import prompt_scores
from clampdown.discovery.gates.split import ORDINARY
from clampdown.measuring.attacks.outcome import Goal
from clampdown.measuring.sets.sets import ItemSet, builtin_set, load_set
from clampdown.measuring.statistics.clustered import clustered_rate
from clampdown.measuring.statistics.rates import wilson
from clampdown.models.chat_model import ChatModel, Message, load_chat_model
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.steering.gates.compiled import CompiledGate, compile_gate
from clampdown.steering.gates.gate_file import save_gate

POOLS = ("last@14,17,20", "request-last@17", "mean@11,14,17,20")
OTHERS = ("advbench", "strongreject")
OF_ANY = ("quoted", "about", "asked by another")
"""Rewordings of any request."""


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load_chat_model(dtype=options.dtype)
    shipped = Recipe.load(bundled_path("guarded"))
    named = {str(path): Recipe.load(path) for path in options.gates}
    if options.moves:
        for name, recipe in (named or {"guarded": shipped}).items():
            tell_moves(model, recipe, options, name)
        return
    if options.draws:
        return tell_draws(model, named or {"guarded": shipped}, options)
    gates = named or hardened(model, shipped, options)
    if options.shipped:
        gates = {"guarded": shipped, **gates}
    figures: dict[str, Any] = {}
    print("\n| gate | goals | opened plainly | attacker | past the gate | and complied | queries to pass | added |")
    print("|---|---|---|---|---|---|---|---|")
    for name, recipe in gates.items():
        for item_set in goal_sets(options):
            goals = [Goal.of(item) for item in item_set.sample(options.goals, options.seed).items]
            found = attack_gate(model, recipe, goals, attack_options(options, options.max_new_tokens))
            figures.setdefault(name, {})[item_set.name] = found.to_dict()
            for arm in found.arms:
                print(f"| {name} | {item_set.name} | {len(found.opened)} of {len(goals)} | {_line(arm)} |", flush=True)
    print("\n| gate | safe prompts | plain | in drawn dresses |\n|---|---|---|---|")
    for name, recipe in gates.items():
        for kind in ("safe", "lookalike"):
            told = figures[name][kind] = safe_opened(model, recipe, builtin_set(kind).half("report"), options)
            print(f"| {name} | {kind} | {told['plain']} | {told['dressed']} |", flush=True)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1))


def hardened(model: ChatModel, shipped: Recipe, options: argparse.Namespace) -> dict[str, Recipe]:
    """A gate fitted here, and those fitted on what got past it besides."""
    rows = thinned(without_reported(shipped_rows()), options.share)
    gates = {"before": fitted(model, shipped, rows, options, "before")}
    for number in range(1, options.rounds + 1):
        newest = list(gates.values())[-1]
        rows += found_on_selecting_half(model, newest, options, number)
        gates[f"after {number}"] = fitted(model, shipped, rows, options, f"after-{number}")
    return gates


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for gates, prompts found and figures")
    parser.add_argument("--share", type=float, default=0.12, help="of clusters that are not ordinary")
    parser.add_argument("--pool", nargs="+", default=list(POOLS), help="as `clampdown gate fit` takes it")
    parser.add_argument("--hidden", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1, help="of hardening")
    parser.add_argument("--goals", type=int, default=30, help="of each set, to harden with and to report on")
    parser.add_argument("--budget", type=int, default=64, help="queries a goal and attacker")
    parser.add_argument("--answers", type=int, default=2, help="prompts past the gate that are answered, at most")
    parser.add_argument("--tries", type=int, default=4, help="prompts past the gate that harden, a goal and attacker")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--data", type=Path, help="a folder with unsafe/advbench.jsonl and unsafe/strongreject.jsonl")
    parser.add_argument("--shipped", action="store_true", help="attack guarded as it ships, too")
    parser.add_argument("--gates", type=Path, nargs="+", default=[], help="recipes to attack; nothing is fitted")
    parser.add_argument("--attackers", nargs="+", default=list(ATTACKERS), choices=ATTACKERS)
    parser.add_argument("--draws", type=int, default=0, metavar="N", help="dresses drawn for each goal")
    parser.add_argument("--moves", action="store_true", help="tell what each move does by itself, and nothing else")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def thinned(rows: Sequence[GateRow], share: float) -> list[GateRow]:
    """All ordinary rows, which set the threshold, and of the others those of a share of the clusters."""

    def kept(row: GateRow) -> bool:
        digest = hashlib.sha256(f"thinned {row.cluster}".encode("utf-8", "replace")).digest()
        return row.kind in ORDINARY or int.from_bytes(digest[:8], "big") / 2**64 < share

    return [row for row in rows if kept(row)]


def fitted(model: ChatModel, recipe: Recipe, rows: Sequence[GateRow], options: argparse.Namespace, name: str) -> Recipe:
    """guarded with a gate fitted on these rows, written into the folder."""
    how = FitOptions(pools=tuple(options.pool), hidden=options.hidden, seed=options.seed)
    found = fit_gate(model, rows, how)
    print(f"{name}: {found.file.about['rows']}; {found.file.about['confirmed']}", flush=True)
    gate = save_gate(found.file, options.out / f"{name}.safetensors")
    return replace(recipe, name=name, gate=gate)


def attack_options(options: argparse.Namespace, tokens: int, answers: int | None = None) -> AttackOptions:
    return AttackOptions(
        options.attackers, options.budget, answers or options.answers, max_new_tokens=tokens, seed=options.seed
    )


def found_on_selecting_half(
    model: ChatModel, recipe: Recipe, options: argparse.Namespace, number: int
) -> list[GateRow]:
    """Rows to harden with; answers are cut short there, for only the gate's decision matters."""
    item_set = builtin_set("unsafe").half("select").sample(options.goals, options.seed + number)
    goals = [Goal.of(item) for item in item_set.items]
    found = attack_gate(model, recipe, goals, attack_options(options, 2, options.tries))
    path = options.out / f"found-{number}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in found_rows(found, options.seed)))
    rows = read_gate_rows(path)
    print(f"round {number}: {len(rows)} rows from {len(found.opened)} goals", flush=True)
    return rows


def goal_sets(options: argparse.Namespace) -> list[ItemSet]:
    found = [builtin_set("unsafe").half("report")]
    if options.data:
        found += [load_set("unsafe", options.data / "unsafe" / f"{name}.jsonl") for name in OTHERS]
    return found


def safe_opened(model: ChatModel, recipe: Recipe, item_set: ItemSet, options: argparse.Namespace) -> dict[str, str]:
    """How many safe prompts open the gate: as they are, and each in a dress that the first attacker would draw."""
    gate = compile_gate(model, recipe)
    texts = [item.text for item in item_set.items]
    dressed = []
    for text in texts:
        lock = Lock(model, replace(gate, threshold=float("inf")), text, 1)
        dress = next(ByDecision().prompts(lock, random.Random(f"{options.seed} {text}"))).dress
        dressed.append(dress.chat(text))
    told = {}
    for name, chats in (("plain", [[{"role": "user", "content": text}] for text in texts]), ("dressed", dressed)):
        scores = prompt_scores(model, [gate], [model.prompt_ids(chat) for chat in chats])[0]
        share = wilson(int((scores >= gate.threshold).sum()), len(texts))
        told[name] = f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}) of {len(texts)}"
    return told


def tell_draws(model: ChatModel, recipes: Mapping[str, Recipe], options: argparse.Namespace) -> None:
    """Of goals that open a gate plainly, how many drawn dresses shut it; all gates read the same prompts."""
    goals = [item.text for item in builtin_set("unsafe").half("report").items]
    gates = [compile_gate(model, recipe) for recipe in recipes.values()]
    plain = opened_by(model, gates, [Dress().chat(goal) for goal in goals])
    print("| gate | goals | open plainly | dresses | shut it | of n |\n|---|---|---|---|---|---|")
    for which, step in (("any", 1), ("no sentence that hardened", 2)):
        draws = random.Random(f"{options.seed} {which}")
        places = [place for place in range(len(goals)) for _ in range(options.draws)]
        asked = [(place, drawn(goals[place], draws, step).chat(goals[place])) for place in places]
        opened = opened_by(model, gates, [chat for _, chat in asked])
        for name, own, under in zip(recipes, plain, opened, strict=True):
            kept = [(not open_, place) for open_, (place, _) in zip(under, asked, strict=True) if own[place]]
            told = clustered_rate([shut for shut, _ in kept], [place for _, place in kept])
            share = f"{told.value:.1%} ({told.low:.1%} to {told.high:.1%})"
            print(f"| {name} | {len(goals)} | {sum(own)} | {which} | {share} | {len(kept)} |", flush=True)


def drawn(goal: str, draws: random.Random, step: int) -> Dress:
    """One to three moves; of framings and endings only every `step`-th, from the second on where some are left out."""
    choices = moves(goal)
    return moved({**choices, **{name: choices[name][step - 1 :: step] for name in ("framing", "ending")}}, draws)


def opened_by(model: ChatModel, gates: Sequence[CompiledGate], chats: Sequence[list[Message]]) -> list[list[bool]]:
    """For each gate, which of the chats open it."""
    scores = prompt_scores(model, gates, [model.prompt_ids(chat) for chat in chats])
    return [(own >= gate.threshold).tolist() for gate, own in zip(gates, scores, strict=True)]


def tell_moves(model: ChatModel, recipe: Recipe, options: argparse.Namespace, name: str) -> None:
    """Of each kind of move how often one by itself shuts the gate on goals that open it: the mean, and the best one."""
    gate = compile_gate(model, recipe)
    goals = [item.text for item in builtin_set("unsafe").half("report").sample(options.goals, options.seed).items]
    locks = [Lock(model, gate, goal, 10**6) for goal in goals]
    opened = [lock for lock in locks if not lock.shut(lock.scores([Dress()])[0][1])]
    print(f"\n{len(opened)} of {len(goals)} goals open {name}\n\n| move | of them | mean | best |\n|---|---|---|---|")
    for kind, tried in moves_by_kind().items():
        told = [lock.scores(tried) for lock in opened]
        shut = [
            (sum(lock.shut(one[place][1]) for lock, one in zip(opened, told, strict=True)), dress.moves[0])
            for place, dress in enumerate(tried)
        ]
        n, most = len(opened), max(shut)
        mean = sum(count for count, _ in shut) / len(shut) / n
        share = wilson(most[0], n)
        best = f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%}), {most[1]}"
        print(f"| {kind} | {len(shut)} | {mean:.0%} | {best} |", flush=True)


def moves_by_kind() -> dict[str, list[Dress]]:
    """Each move by itself; sentences that `training/gate/attacked.py` draws from, which is every second, apart."""
    found: dict[str, list[Dress]] = {}
    for name, some in moves("").items():
        dresses = [Dress(**{name: value}) for value in (some if name != "rewording" else OF_ANY)]
        if name in ("framing", "ending"):
            found |= {f"{name}, hardened with": dresses[::2], f"{name}, others": dresses[1::2]}
        else:
            found[name] = dresses
    return found


def _line(arm: Arm) -> str:
    rates = [arm.rate(what) for what in ("past", "complied")]
    cells = [f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%})" for rate in rates]
    queries, added = arm.queries("past"), arm.to_dict()["tokens_added"]["value"]
    return " | ".join([arm.name, *cells, f"{queries.value:g} ({queries.low:g} to {queries.high:g})", f"{added or 0:g}"])


if __name__ == "__main__":
    main()
