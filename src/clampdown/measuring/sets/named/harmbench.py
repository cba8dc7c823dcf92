"""HarmBench's text behaviours: the standard ones by default, the contextual ones apart, its copyright ones not at all.

Whether a song's words were given away is no question of refusal. Contextual behaviours come with a passage, and those
that share one are a cluster. The hub's copy is a re-upload behind a gate, so this is the makers' repository.
"""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_STANDARD = NamedSet(
    name="harmbench",
    family="harmbench",
    kinds=("unsafe",),
    size=200,
    split="validation and test",
    about="harmful behaviours, the standard category",
    paper="Mazeika et al. 2024, arXiv 2402.04249",
    licence="MIT",
    origin=Origin(
        "centerforaisafety/HarmBench",
        ("data/behavior_datasets/harmbench_behaviors_text_all.csv",),
        revision="8e1604d1171fe8a48d8febecd22f600e462bdcdd",
        host="github",
    ),
    columns=Columns(text="Behavior|prompt", category="SemanticCategory|category", id="BehaviorID|id"),
    keep={"FunctionalCategory|functional_category": ("standard",)},
    local=("unsafe/harmbench_text_all.jsonl", "harmbench_text_all.jsonl", "harmbench_behaviors_text_all.csv"),
)
SETS = (
    _STANDARD,
    replace(
        _STANDARD,
        name="harmbench-contextual",
        size=100,
        about="harmful behaviours that come with a passage to work on",
        columns=replace(_STANDARD.columns, context="ContextString|context", cluster="ContextString|context"),
        keep={"FunctionalCategory|functional_category": ("contextual",)},
    ),
)
