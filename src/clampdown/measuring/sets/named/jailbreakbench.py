"""JailbreakBench: a hundred harmful behaviours, a benign one on the theme of each, and published attacks on them.

The harmful behaviour, its benign twin and the attacks on it are one cluster. The artifacts are the prompts that four
methods (PAIR, GCG, JBC, random search) submitted against Vicuna 13B; where a method submitted none, there is none.
"""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_HARMFUL = NamedSet(
    name="jailbreakbench-harmful",
    family="jailbreakbench",
    kinds=("unsafe",),
    size=100,
    split="all",
    about="harmful behaviours of ten kinds",
    paper="Chao et al. 2024, arXiv 2404.01318",
    licence="MIT",
    origin=Origin(
        "JailbreakBench/JBB-Behaviors",
        ("data/harmful-behaviors.csv",),
        revision="886acc352a31533ffbcf4ef22c744658688086fc",
    ),
    columns=Columns(text="Goal", category="Category", cluster="Index"),
    local=("harmful-behaviors.csv",),
)
_ATTACKS = ("PAIR/black_box", "GCG/white_box", "JBC/manual", "prompt_with_random_search/black_box")
SETS = (
    _HARMFUL,
    replace(
        _HARMFUL,
        name="jailbreakbench-benign",
        kinds=("lookalike", "safe"),
        about="a benign behaviour on the theme of each harmful one",
        origin=replace(_HARMFUL.origin, files=("data/benign-behaviors.csv",)),
        local=("benign-behaviors.csv",),
    ),
    replace(
        _HARMFUL,
        name="jailbreakbench-artifacts",
        size=None,
        about="jailbreak prompts of four methods for those behaviours, made for Vicuna 13B",
        origin=Origin(
            "JailbreakBench/artifacts",
            tuple(f"attack-artifacts/{attack}/vicuna-13b-v1.5.json" for attack in _ATTACKS),
            revision="909e68c01d94222b8ad2e397a017e2e12e2adb73",
            host="github",
            inside="jailbreaks",
        ),
        columns=Columns(text="prompt", category="category", cluster="index"),
        local=(),
        blank=True,
    ),
)
