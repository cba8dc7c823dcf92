"""AlpacaEval's instructions, without its reference answers: ordinary requests of five sources."""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="alpaca-eval",
        family="alpaca-eval",
        kinds=("safe",),
        size=805,
        split="all",
        about="ordinary instructions, the prompts of AlpacaEval",
        paper="Dubois et al. 2023, arXiv 2305.14387",
        licence="CC BY-NC 4.0",
        origin=Origin(
            "tatsu-lab/alpaca_eval", ("alpaca_eval.json",), revision="2edc6fad8be6b14ea7230aabfd08188da6b8b814"
        ),
        columns=Columns(text="instruction", category="dataset"),
        local=("alpaca_eval.json",),
    ),
)
