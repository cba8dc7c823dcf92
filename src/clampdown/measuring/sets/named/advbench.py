"""AdvBench's harmful behaviours. Many are near-paraphrases of one another, without a column that says which.

The hub's copy is a re-upload behind a gate, so this is the makers' repository.
"""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="advbench",
        family="advbench",
        kinds=("unsafe",),
        size=520,
        split="all",
        about="short harmful instructions; many say nearly the same",
        paper="Zou et al. 2023, arXiv 2307.15043",
        licence="MIT",
        origin=Origin(
            "llm-attacks/llm-attacks",
            ("data/advbench/harmful_behaviors.csv",),
            revision="098262edf85f807224e70ecd87b9d83716bf6b73",
            host="github",
        ),
        columns=Columns(text="goal|prompt", id="id"),
        local=("unsafe/advbench.jsonl", "advbench.jsonl", "harmful_behaviors.csv"),
    ),
)
