"""HellaSwag, the validation part (the test part's answers are not published): which ending fits the beginning."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="hellaswag",
        family="hellaswag",
        kinds=("capability",),
        size=10042,
        split="validation",
        about="which of four endings fits; a local sample may hold fewer",
        paper="Zellers et al. 2019, arXiv 1905.07830",
        licence="MIT",
        origin=Origin(
            "Rowan/hellaswag",
            ("data/validation-00000-of-00001.parquet",),
            revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
        ),
        columns=Columns(
            text="ctx|context", category="activity_label", cluster="source_id", choices="endings", answer="label|answer"
        ),
        local=("capability/hellaswag_sample.jsonl", "hellaswag_sample.jsonl"),
    ),
)
