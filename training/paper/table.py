"""Print the paper's table, and beside it the figures of a run of battery.sh.

    python table.py NAME [FOLDER] [--page FILE]

Without a folder the places for your own figures stay empty. --page writes the table into a page, between the lines
`<!-- NAME -->` and `<!-- end of NAME -->`.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SETS = {
    "WildGuard unsafe ↑": "wildguardmix-unsafe",
    "WildGuard safe ↓": "wildguardmix-safe",
    "XSTest safe ↓": "xstest-safe",
}
TASKS = {"MMLU ↑": "mmlu", "TruthfulQA ↑": "truthfulqa", "GSM8K ↑": "gsm8k"}
ATTACK = "Crescendo ASR ↓"
COLUMNS = (*SETS, *TASKS, ATTACK)
METRICS = ("acc,none", "exact_match,flexible-extract", "exact_match,none")
"""lm-eval's names of what counts, the first that a task has: for GSM8K the last number of an answer."""
NOT_THERE = "–"

PAPER: dict[str, list[tuple[str, str, tuple[float | None, ...]]]] = {
    "phi3": [
        ("none", "refusal/none", (58.33, 6.03, 21.60, 68.80, 65.00, 82.50, 55.92)),
        ("system prompt", "refusal/system-prompt", (69.50, 18.10, 55.20, 68.00, 67.20, 83.50, 29.36)),
        ("latent at 10", "refusal/clamp-at-10", (90.65, 40.63, 36.40, 58.62, 60.11, 69.98, 42.74)),
        ("latent at 12", "refusal/clamp-1", (96.02, 68.36, 45.60, 35.98, 53.82, 35.56, 32.58)),
        ("latent at 12, gated by WildGuard 7B", "", (85.90, 9.10, 22.00, 66.19, 65.65, 84.69, None)),
    ],
    "llama31": [
        ("none", "refusal/none", (59.81, 3.07, None, 67.95, None, 78.85, None)),
        ("latent at 2.5", "refusal/clamp-1", (79.97, 11.85, None, 59.09, None, 60.65, None)),
        ("system prompt", "refusal/system-prompt", (None,) * 7),
    ],
}
"""What the paper (arXiv 2411.11296) reports, in percent: an arm, ours that goes with it, and a figure a column."""
OWN = {
    "refusal/clamp-1-reconstruct": "latent, rule `reconstruct`",
    "refusal/sae-pass": "SAE pass, nothing clamped",
    "refusal/unrelated-latent": "unrelated latent",
    "refusal/random-latents": "random latents",
    "refusal/difference-in-means-1": "difference in means × 1",
    "second/clamp-1": "second latent",
}
"""Arms that the paper lacks, or of which we know no figures."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PAPER)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    told = table(args.name, figures(args.folder) if args.folder else {})
    if args.page:
        start, end = f"<!-- {args.name} -->\n", f"<!-- end of {args.name} -->"
        before, _, rest = args.page.read_text(encoding="utf-8").partition(start)
        args.page.write_text(f"{before}{start}{told}{end}{rest.partition(end)[2]}", encoding="utf-8")
    else:
        print(told, end="")


def table(name: str, found: Mapping[str, Mapping[str, str]]) -> str:
    """Markdown: the paper's figures and yours in turns, then your arms that the paper does not have."""
    lines = [("arm", "whose", *COLUMNS), ("---",) * (2 + len(COLUMNS))]
    for label, arm, values in PAPER[name]:
        if any(value is not None for value in values):
            lines.append((label, "paper", *(NOT_THERE if v is None else f"{v:.2f}" for v in values)))
            label = ""
        lines.append((label, "yours", *_cells(found, arm)))
    lines += [(label, "yours", *_cells(found, arm)) for arm, label in OWN.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(found: Mapping[str, Mapping[str, str]], arm: str) -> Iterator[str]:
    return (found.get(arm, {}).get(column, NOT_THERE if found or not arm else "") for column in COLUMNS)


def figures(folder: Path) -> dict[str, dict[str, str]]:
    """What a run of the battery found: by arm and column, as text."""
    found: dict[str, dict[str, str]] = {}
    for study in ("refusal", "second"):
        for arm in _read(folder / study / "results.json").get("arms", []):
            found[f"{study}/{arm['name']}"] = _study_cells(arm["measures"])
    for arm in (folder / "lm-eval").glob("*/*"):
        for results in sorted(arm.rglob("results_*.json")):
            cells = found.setdefault(f"{arm.parent.name}/{arm.name}", {})
            cells.update(_task_cells(_read(results)["results"]))
    # Arms of two studies share names, so what the attack calls them does not tell them apart; their order does.
    attacked = [arm for arm in _read(folder / "crescendo.json").get("arms", []) if arm["kind"] == "unsafe"]
    keys = ["refusal/none", *(folder / "crescendo.arms").read_text(encoding="utf-8").split()] if attacked else []
    for key, arm in zip(keys, attacked, strict=True):
        for rate in arm["rates"]:
            if rate["metric"] == "attack_success":
                found.setdefault(key, {})[ATTACK] = _told(rate["value"], rate["low"], rate["high"])
    return found


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _study_cells(measures: list[dict[str, Any]]) -> dict[str, str]:
    rates = {m["set"]: _told(m["value"], m["low"], m["high"]) for m in measures if m["metric"] == "refusal"}
    return {column: rates[name] for column, name in SETS.items() if name in rates}


def _task_cells(results: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The first task of each family, lm-eval's group before its parts."""
    cells = {}
    for column, family in TASKS.items():
        for task in sorted((t for t in results if t.startswith(family)), key=len):
            metric = next((m for m in METRICS if isinstance(results[task].get(m), int | float)), None)
            if metric:
                value, name = results[task][metric], metric.partition(",")
                error = results[task].get(f"{name[0]}_stderr,{name[2]}")
                half = 1.96 * error if isinstance(error, int | float) else 0.0
                cells.setdefault(column, _told(value, max(0.0, value - half), min(1.0, value + half)))
    return cells


def _told(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return NOT_THERE
    return f"{100 * value:.2f} ({100 * low:.0f}–{100 * high:.0f})"


if __name__ == "__main__":
    main()
