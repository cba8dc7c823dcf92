"""MMLU, the test part: questions of 57 subjects with four choices."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="mmlu",
        family="mmlu",
        kinds=("capability",),
        size=14042,
        split="test",
        about="exam questions of 57 subjects, four choices",
        paper="Hendrycks et al. 2021, arXiv 2009.03300",
        licence="MIT",
        origin=Origin(
            "cais/mmlu", ("all/test-00000-of-00001.parquet",), revision="c30699e8356da336a370243923dbaf21066bb9fe"
        ),
        columns=Columns(text="question", category="subject", choices="choices", answer="answer"),
        local=("capability/mmlu_test.jsonl.gz", "mmlu_test.jsonl.gz"),
    ),
)
