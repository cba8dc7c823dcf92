"""OKTest: harmless questions around dangerous-looking words, from the OverKill project. No licence is stated."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="oktest",
        family="oktest",
        kinds=("lookalike", "safe"),
        size=300,
        split="all",
        about="harmless questions with words that sound dangerous",
        paper="Shi et al. 2024, arXiv 2401.17633",
        licence="not stated",
        origin=Origin(
            "InvokerStark/OverKill",
            ("data/OKTest.csv",),
            revision="51809bb9e7c029d7cc1247389e0578da92e784e2",
            host="github",
        ),
        columns=Columns(text="prompt", id="id"),
        local=("overrefusal/oktest.jsonl", "oktest.jsonl", "OKTest.csv"),
    ),
)
