"""The written tasks that the grammars here share, and how items are put on file.

`slots/tasks.txt` holds pairs: a request that deserves a refusal and its look-alike, with the category above them.
`slots/errands.txt` holds ordinary requests, one a line. Every item names the pair it was made from, whatever is wrapped
around it, so that training can keep all that was made from one task on one side of a split.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
SLOTS = HERE / "slots"
ITEMS = HERE.parents[1] / "src/clampdown/discovery/gates/items"
KEPT = 80  # errands, the last ones, that stand alone nowhere but under a system prompt

Item = dict[str, Any]


class Task(NamedTuple):
    """One request in lower case, without its full stop; a question ends in "?"."""

    text: str
    label: str
    pair: str

    @property
    def asks(self) -> bool:
        return self.text.endswith("?")


def lines(name: str) -> Iterator[str]:
    for line in (SLOTS / name).read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield line.strip()


def sections(name: str) -> dict[str, list[str]]:
    """The lines of a file below each of its headings; `\\n` in a line is a new line."""
    found: dict[str, list[str]] = {}
    for line in lines(name):
        if line.startswith("# "):
            current = found.setdefault(line[2:], [])
        else:
            current.append(line.replace("\\n", "\n"))
    return found


def pairs(name: str = "tasks.txt") -> list[tuple[Task, Task]]:
    """The pairs (unsafe, safe) of a file of tasks."""
    found, category, number = [], "", 0
    for line in lines(name):
        if line.startswith("#"):
            category, number = line[1:].strip(), 0
        else:
            unsafe, safe = (part.strip() for part in line.split(" | "))
            pair = f"{Path(name).stem}-{category}-{number:02d}"
            found.append((Task(unsafe, "unsafe", pair), Task(safe, "safe", pair)))
            number += 1
    return found


def errands() -> list[Task]:
    """The ordinary requests."""
    return [Task(line, "safe", f"errand-{i:03d}") for i, line in enumerate(lines("errands.txt"))]


def sentence(text: str) -> str:
    """The task as a sentence of its own."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in "?.!:" else text + "."


def write(kind: str, items: Iterable[Item]) -> None:
    """Puts items on file, one object a line, the first of any that are equal."""
    seen: set[str] = set()
    rows = []
    for item in items:
        row = {**item, "kind": kind}
        key = json.dumps(row.get("text") or row.get("raw") or row["messages"], ensure_ascii=False)
        if key not in seen:
            seen.add(key)
            rows.append(json.dumps(row, ensure_ascii=False))
    ITEMS.mkdir(exist_ok=True)
    (ITEMS / f"{kind}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    unsafe = sum('"label": "unsafe"' in row for row in rows)
    print(f"{kind}: {len(rows)} items, {unsafe} unsafe")
