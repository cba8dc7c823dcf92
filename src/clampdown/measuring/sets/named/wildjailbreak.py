"""WildJailbreak's evaluation part: adversarial prompts with harmful and with benign intent, in the same style."""

from dataclasses import replace

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

_HARMFUL = NamedSet(
    name="wildjailbreak-harmful",
    family="wildjailbreak",
    kinds=("unsafe",),
    size=2000,
    split="evaluation",
    about="jailbreak prompts composed from tactics seen in the wild",
    paper="Jiang et al. 2024, arXiv 2406.18510",
    licence="ODC-BY 1.0, AI2's terms",
    origin=Origin(
        "allenai/wildjailbreak",
        ("eval/eval.tsv",),
        revision="5ddc12a7894f842b0619b8e1c7ee496b198af009",
        gated=True,
    ),
    columns=Columns(text="adversarial", category="data_type"),
    keep={"data_type": ("adversarial_harmful",)},
)
SETS = (
    _HARMFUL,
    replace(
        _HARMFUL,
        name="wildjailbreak-benign",
        kinds=("lookalike", "safe"),
        size=210,
        about="benign prompts dressed up like jailbreaks",
        keep={"data_type": ("adversarial_benign",)},
    ),
)
