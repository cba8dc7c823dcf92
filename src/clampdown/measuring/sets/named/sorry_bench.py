"""SORRY-Bench (March 2025): ten unsafe instructions for each of 44 topics, in their base wording.

Its licence forbids passing the data on, so it is read from your own copy or fetched with your own account.
"""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="sorry-bench",
        family="sorry-bench",
        kinds=("unsafe",),
        size=440,
        split="all",
        about="unsafe instructions on 44 topics, ten each; the category is the topic's number",
        paper="Xie et al. 2025, arXiv 2406.14598",
        licence="its own; not to be passed on",
        origin=Origin(
            "sorry-bench/sorry-bench-202503",
            ("question.jsonl",),
            revision="612a4e1f45db8adf884fa62318ddf9fa1c6e75e9",
            gated=True,
        ),
        columns=Columns(text="turns.0", category="category", cluster="question_id", id="question_id"),
        keep={"prompt_style": ("base",)},
        local=("sorry_bench.jsonl",),
    ),
)
