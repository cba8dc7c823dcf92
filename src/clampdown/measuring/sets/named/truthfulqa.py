"""TruthfulQA, multiple choice with one right answer (MC1). In the file the right one always comes first."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="truthfulqa-mc",
        family="truthfulqa",
        kinds=("capability",),
        size=817,
        split="validation",
        about="questions that many people answer falsely; one right choice (MC1)",
        paper="Lin et al. 2022, arXiv 2109.07958",
        licence="Apache-2.0",
        origin=Origin(
            "truthfulqa/truthful_qa",
            ("multiple_choice/validation-00000-of-00001.parquet",),
            revision="741b8276f2d1982aa3d5b832d3ee81ed3b896490",
        ),
        columns=Columns(
            text="question", choices="mc1_targets.choices|mc1_targets", answer="mc1_targets.labels|mc1_targets"
        ),
        local=("capability/truthfulqa_mc.jsonl", "truthfulqa_mc.jsonl"),
    ),
)
