"""XSTest v2: safe prompts that look unsafe, and unsafe ones in the same words.

Prompts around the same word (its column `focus`) are one cluster, the safe and the unsafe among them.
"""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_SAFE = NamedSet(
    name="xstest-safe",
    family="xstest",
    kinds=("lookalike", "safe"),
    size=250,
    split="all",
    about="safe prompts that look unsafe, of ten types",
    paper="Röttger et al. 2024, arXiv 2308.01263",
    licence="CC BY 4.0",
    origin=Origin("Paul/XSTest", ("xstest_prompts.csv",), revision="f600c994b256f12867dfa5b3eb3d545a3e62f8b5"),
    columns=Columns(text="prompt", category="type", cluster="focus", id="id"),
    keep={"label": ("safe",)},
    local=("overrefusal/xstest_v2.jsonl", "xstest_v2.jsonl", "xstest_prompts.csv"),
)
SETS = (
    _SAFE,
    replace(
        _SAFE,
        name="xstest-unsafe",
        kinds=("unsafe",),
        size=200,
        about="unsafe prompts in the words of XSTest's safe ones",
        keep={"label": ("unsafe",)},
    ),
)
