"""CommonsenseQA, the validation part (the test part's answers are not published): five choices around one concept."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="commonsenseqa",
        family="commonsenseqa",
        kinds=("capability",),
        size=1221,
        split="validation",
        about="common-sense questions, five choices",
        paper="Talmor et al. 2019, arXiv 1811.00937",
        licence="MIT",
        origin=Origin(
            "tau/commonsense_qa",
            ("data/validation-00000-of-00001.parquet",),
            revision="94630fe30dad47192a8546eb75f094926d47e155",
        ),
        columns=Columns(
            text="question",
            category="question_concept",
            id="id",
            choices="choices.text|choices",
            labels="choices.label",
            answer="answerKey|answer",
        ),
        local=("capability/commonsenseqa_dev.jsonl", "commonsenseqa_dev.jsonl"),
    ),
)
