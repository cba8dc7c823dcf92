"""GSM8K, the test part: school arithmetic. The answer is a number in words, so it is generated, not chosen."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="gsm8k",
        family="gsm8k",
        kinds=("capability",),
        size=1319,
        split="test",
        about="school arithmetic in words; the answer is a number, not a choice",
        paper="Cobbe et al. 2021, arXiv 2110.14168",
        licence="MIT",
        origin=Origin(
            "openai/gsm8k", ("main/test-00000-of-00001.parquet",), revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c"
        ),
        columns=Columns(text="question", target="final|answer"),
        local=("capability/gsm8k_test.jsonl", "gsm8k_test.jsonl"),
    ),
)
