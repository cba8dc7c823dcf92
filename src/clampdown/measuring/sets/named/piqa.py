"""PIQA, the validation part (the test part's answers are not published): which of two ways works.

The makers' own repository on the hub is a loading script, so this is the Parquet copy that lm-eval uses.
"""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="piqa",
        family="piqa",
        kinds=("capability",),
        size=1838,
        split="validation",
        about="which of two ways to do an everyday thing works",
        paper="Bisk et al. 2020, arXiv 1911.11641",
        licence="AFL-3.0",
        origin=Origin("baber/piqa", ("piqa_validation.parquet",), revision="142f6d7367fd9877f0fb3b5734ea6a545f54cdd1"),
        columns=Columns(text="goal|question", choices="sol1+sol2|choices", answer="label|answer"),
        local=("capability/piqa_test.jsonl", "piqa_test.jsonl"),
    ),
)
