"""StrongREJECT: forbidden prompts, checked to be specific, answerable and truly harmful.

The hub's copy is a re-upload behind a gate, so this is the makers' repository.
"""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="strongreject",
        family="strongreject",
        kinds=("unsafe",),
        size=313,
        split="all",
        about="forbidden prompts of six kinds, each specific enough to be answered",
        paper="Souly et al. 2024, arXiv 2402.10260",
        licence="MIT",
        origin=Origin(
            "alexandrasouly/strongreject",
            ("strongreject_dataset/strongreject_dataset.csv",),
            revision="3432b2d696b428f242bd507df96d80f686571d5e",
            host="github",
        ),
        columns=Columns(text="forbidden_prompt|prompt", category="category", id="id"),
        local=("unsafe/strongreject.jsonl", "strongreject.jsonl", "strongreject_dataset.csv"),
    ),
)
