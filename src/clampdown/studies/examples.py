"""Answers to show side by side: items drawn by seed, before anyone looks at what was said."""

import random
from collections.abc import Sequence
from typing import Any

from clampdown.measuring.sets.kinds import SetKind
from clampdown.measuring.sets.sets import ItemSet
from clampdown.studies.arms import Arm
from clampdown.studies.measures import Rows

COUNTS = {
    SetKind.UNSAFE: 4,
    SetKind.SAFE: 3,
    SetKind.LOOKALIKE: 3,
    SetKind.ATTACK: 2,
    SetKind.ATTACK_SAFE: 1,
}


def examples(arms: Sequence[Arm], sets: Sequence[ItemSet], rows: Rows, seed: int) -> list[dict[str, Any]]:
    """For a few items of the first set of each kind: {"set", "kind", "prompt", "answers"}.

    An answer is {"arm", "text", "label", "looping"}, and of an arm with a gate what it said, `gate`: "open" or "shut".
    Of an attack, the prompt is the goal and the answer the one that it ends on, beside the labels of all its `turns`,
    and what the gate said before each, `gates`.
    """
    found = []
    for kind, count in COUNTS.items():
        item_set = next((s for s in sets if s.kind == kind), None)
        if item_set is None:
            continue
        some = random.Random(f"{seed} examples {kind}").sample(
            range(len(item_set.items)), min(count, len(item_set.items))
        )
        for place in sorted(some):
            answers = []
            for arm in arms:
                row = next(row for row in rows[arm.name, item_set.name] if row.place == place)
                cut = "" if row.finished else "…"
                told = {"arm": arm.name, "text": (row.text or "") + cut, "label": row.label, "looping": row.looping}
                if row.decision is not None:
                    told["gate"] = "open" if row.decision["open"] else "shut"
                if row.attack:
                    told["turns"] = row.attack["labels"]
                    told |= {"gates": gates} if (gates := row.attack.get("gates")) else {}
                answers.append(told)
            prompt = item_set.items[place].text
            found.append({"set": item_set.name, "kind": kind, "prompt": prompt, "answers": answers})
    return found
