"""OR-Bench: the thousand harmless prompts that models refuse most, and truly toxic ones to set them against."""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_HARD = NamedSet(
    name="or-bench-hard",
    family="or-bench",
    kinds=("lookalike", "safe"),
    size=1319,
    split="all",
    about="harmless prompts that many models refuse (Hard-1K)",
    paper="Cui et al. 2024, arXiv 2405.20947",
    licence="CC BY 4.0",
    origin=Origin("bench-llm/or-bench", ("or-bench-hard-1k.csv",), revision="e36d8b80e81837c8a8f264bbb2a49f1b32c7e272"),
    columns=Columns(text="prompt", category="category"),
    local=("or-bench-hard-1k.csv",),
)
SETS = (
    _HARD,
    replace(
        _HARD,
        name="or-bench-toxic",
        kinds=("unsafe",),
        size=655,
        about="toxic prompts, the contrast to OR-Bench's harmless ones",
        origin=replace(_HARD.origin, files=("or-bench-toxic.csv",)),
        local=("or-bench-toxic.csv",),
    ),
)
