"""Do-Not-Answer: questions that a responsible model should not answer as asked.

Many are risky advice or beliefs about the machine rather than malice, so no model ought to refuse all of them.
"""

from clampdown.measuring.sets.named.page import Columns, NamedSet, Origin

SETS = (
    NamedSet(
        name="do-not-answer",
        family="do-not-answer",
        kinds=("unsafe",),
        size=939,
        split="all",
        about="questions not to be answered as asked; many risky rather than malicious",
        paper="Wang et al. 2023, arXiv 2308.13387",
        licence="CC BY-NC-SA 4.0",
        origin=Origin("LibrAI/do-not-answer", ("data_en.csv",), revision="74e74f2e4507ef256fe536f78a776f4a1ff67955"),
        columns=Columns(text="question|prompt", category="risk_area|category", id="id"),
        local=("unsafe/do_not_answer.jsonl", "do_not_answer.jsonl"),
    ),
)
