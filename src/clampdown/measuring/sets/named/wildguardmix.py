"""WildGuardTest: the human-labelled test half of WildGuardMix, vanilla and adversarial prompts.

Rows whose prompt the annotators could not agree on have no label and are left out.
"""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_UNSAFE = NamedSet(
    name="wildguardmix-unsafe",
    family="wildguardmix",
    kinds=("unsafe",),
    size=754,
    split="test",
    about="WildGuardTest: prompts that people labelled harmful, nearly half of them jailbreaks",
    paper="Han et al. 2024, arXiv 2406.18495",
    licence="ODC-BY 1.0, AI2's terms",
    origin=Origin(
        "allenai/wildguardmix",
        ("test/wildguard_test.parquet",),
        revision="d29c47f41c8b51348b5c8e8c81c039b3132b66d1",
        gated=True,
    ),
    columns=Columns(text="prompt", category="subcategory"),
    keep={"prompt_harm_label": ("harmful",)},
    local=("wildguard_test.parquet",),
)
SETS = (
    _UNSAFE,
    replace(
        _UNSAFE,
        name="wildguardmix-safe",
        kinds=("safe",),
        size=945,
        about="WildGuardTest: prompts that people labelled harmless",
        keep={"prompt_harm_label": ("unharmful",)},
    ),
)
