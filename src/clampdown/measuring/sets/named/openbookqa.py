"""OpenBookQA, the test part: science questions that need a common fact besides the one in the book."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="openbookqa",
        family="openbookqa",
        kinds=("capability",),
        size=500,
        split="test",
        about="elementary science questions, four choices",
        paper="Mihaylov et al. 2018, arXiv 1809.02789",
        licence="Apache-2.0",
        origin=Origin(
            "allenai/openbookqa",
            ("main/test-00000-of-00001.parquet",),
            revision="388097ea7776314e93a529163e0fea805b8a6454",
        ),
        columns=Columns(
            text="question_stem|question",
            choices="choices.text|choices",
            labels="choices.label",
            answer="answerKey|answer",
        ),
        local=("capability/openbookqa_test.jsonl", "openbookqa_test.jsonl"),
    ),
)
