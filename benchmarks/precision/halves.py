"""What arms are measured on: one half of the built-in sets, and of public ones."""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.measuring.sets.sets import Item, builtin_set, cluster_half

HELLASWAG, PIQA = "capability/hellaswag_sample.jsonl", "capability/piqa_test.jsonl"
PLAIN = {"select": "corpus/wikitext2_valid.jsonl", "report": "corpus/wikitext2_test.jsonl"}
CHARACTERS = 300
"""The shortest passage that is taken: headings are none."""


class Items(NamedTuple):
    """Prompts of three kinds, questions, and passages of plain text."""

    unsafe: tuple[Item, ...]
    safe: tuple[Item, ...]
    lookalike: tuple[Item, ...]
    questions: tuple[Item, ...]
    passages: tuple[str, ...]


def items(data: Path, half: str, sizes: dict[str, int], seed: int) -> Items:
    """The half's items, so many of each at most, drawn by seed; two fifths of the questions are built-in ones."""

    def some(kind: str, count: int) -> tuple[Item, ...]:
        return builtin_set(kind).half(half).sample(count, seed).items

    count = sizes["questions"]
    asked = [*some("capability", 2 * count // 5)]
    for file, share in ((PIQA, 2), (HELLASWAG, 1)):
        every = [item for item in questions(data / file) if cluster_half(item.cluster) == half]
        random.Random(f"{seed} {file}").shuffle(every)
        asked += every[: share * count // 5]
    passages = [row["text"] for row in rows_of(data / PLAIN[half]) if len(row["text"]) >= CHARACTERS]
    random.Random(f"{seed} passages").shuffle(passages)
    prompts = (some(kind, sizes[kind]) for kind in ("unsafe", "safe", "lookalike"))
    return Items(*prompts, tuple(asked), tuple(passages[: sizes["passages"]]))


def questions(path: Path) -> Iterator[Item]:
    for number, row in enumerate(rows_of(path)):
        text, choices = row.get("question") or row.get("context"), row.get("choices") or row.get("endings")
        assert isinstance(text, str) and choices is not None
        name = f"{path.stem}-{number}"
        yield Item(name, text, path.stem, name, tuple(choices), int(row["answer"]))


def rows_of(path: Path) -> Iterable[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
