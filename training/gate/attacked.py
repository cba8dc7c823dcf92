"""Requests that got past a gate, each beside a safe one in the same dress: hardening, as items.

    python training/gate/attacked.py guarded

The attacker who sees only open and shut (`clampdown gate attack`) draws one to three moves at a time for a request that
opens the gate when asked plainly; what shuts it is kept, a few of each request. Requests are the built-in set's
selecting half, beside a safe prompt or a look-alike, and short pairs of all other kinds. Of the framings and endings
only every second one is used, so that the others can tell whether the gate learned moves or these sentences.

Run it after the other grammars, with a gate that was fitted on them; fit the next one on all.
"""

import random
import sys
from collections.abc import Sequence
from typing import Any

import grammar_spellings
from tasks import Item, write

from clampdown.discovery.gate_attacks.black_box import moved, moves
from clampdown.discovery.gate_attacks.dress import Dress
from clampdown.discovery.gates.scores import prompt_scores
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import load_chat_model
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import recipe_path
from clampdown.steering.gates.compiled import compile_gate

PAIRS = 300  # beside the built-in set's
DRAWN, KEPT = 4, 3  # dresses for a request


def built_in() -> list[tuple[Item, Item]]:
    rng = random.Random(31)
    safe = [item for kind in ("safe", "lookalike") for item in builtin_set(kind).half("select").items]
    return [
        ({"text": item.text, "pair": item.cluster}, {"text": rng.choice(safe).text, "pair": item.cluster})
        for item in builtin_set("unsafe").half("select").items
    ]


def dresses(request: str, rng: random.Random) -> list[Dress]:
    """Different ones, each of one to three moves."""
    choices = moves(request)
    choices |= {name: choices[name][::2] for name in ("framing", "ending")}
    found: dict[Dress, None] = {}
    while len(found) < DRAWN:
        found[moved(choices, rng)] = None
    return list(found)


def opens(model: Any, gate: Any, chats: Sequence[Any]) -> list[bool]:
    scores = prompt_scores(model, [gate], [model.prompt_ids(chat) for chat in chats])[0]
    return [bool(score >= gate.threshold) for score in scores]


def items(recipe: str, seed: int = 32) -> list[Item]:
    model, rng = load_chat_model(), random.Random(seed)
    gate = compile_gate(model, Recipe.load(recipe_path(recipe)))
    two = built_in() + rng.sample(grammar_spellings.short_pairs(), PAIRS)
    opened = opens(model, gate, [Dress().chat(unsafe["text"]) for unsafe, _ in two])
    drawn = [
        (unsafe, safe, dress)
        for (unsafe, safe), open_ in zip(two, opened, strict=True)
        if open_
        for dress in dresses(unsafe["text"], rng)
    ]
    shut = [not open_ for open_ in opens(model, gate, [dress.chat(unsafe["text"]) for unsafe, _, dress in drawn])]
    print(f"{sum(opened)} of {len(two)} requests open it plainly; {sum(shut)} of {len(shut)} dresses shut it")
    found, kept = [], {}
    for (unsafe, safe, dress), past in zip(drawn, shut, strict=True):
        kept[unsafe["text"]] = kept.get(unsafe["text"], 0) + past
        if past and kept[unsafe["text"]] <= KEPT:
            for label, row in (("unsafe", unsafe), ("safe", safe)):
                found.append({"messages": dress.chat(row["text"]), "label": label, "pair": unsafe["pair"]})
    return found


if __name__ == "__main__":
    write("attacked", items(sys.argv[1]))
