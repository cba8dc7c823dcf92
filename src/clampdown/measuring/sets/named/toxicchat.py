"""ToxicChat (0124, test part): what real users typed to a chatbot, labelled by people.

Only rows that people looked at count; the others were labelled by a classifier's score alone.
"""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_UNSAFE = NamedSet(
    name="toxicchat-unsafe",
    family="toxicchat",
    kinds=("unsafe",),
    size=362,
    split="test",
    about="toxic prompts of real users",
    paper="Lin et al. 2023, arXiv 2310.17389",
    licence="CC BY-NC 4.0",
    origin=Origin(
        "lmsys/toxic-chat",
        ("data/0124/toxic-chat_annotation_test.csv",),
        revision="29df8e4dba60e1f4af4b4075c0705c5b313548a8",
    ),
    columns=Columns(text="user_input|prompt", id="conv_id|id"),
    keep={"human_annotation": ("true",), "toxicity": ("1",)},
    local=("toxic-chat_annotation_test.csv",),
    ready=("unsafe/toxicchat_unsafe.jsonl", "toxicchat_unsafe.jsonl"),
)
SETS = (
    _UNSAFE,
    replace(
        _UNSAFE,
        name="toxicchat-safe",
        kinds=("safe",),
        size=2491,
        about="prompts of real users that people found not toxic",
        keep={"human_annotation": ("true",), "toxicity": ("0",)},
        ready=(),
    ),
)
