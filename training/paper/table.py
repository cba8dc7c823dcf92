"""Print the paper's tables, and beside them the figures of a run of battery.sh.

    python table.py NAME [FOLDER] [--page FILE]

Without a folder the places for your own figures stay empty. --page writes the tables into a page, between the lines
`<!-- NAME -->` and `<!-- end of NAME -->`.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clampdown.measuring.statistics.rates import wilson

SETS = {
    "WildGuard unsafe ↑": "wildguardmix-unsafe",
    "XSTest unsafe ↑": "xstest-unsafe",
    "WildGuard safe ↓": "wildguardmix-safe",
    "XSTest safe ↓": "xstest-safe",
}
TASKS = {"MMLU ↑": "mmlu", "TruthfulQA ↑": "truthfulqa", "GSM8K ↑": "gsm8k"}
ATTACKS = {"Crescendo ASR ↓": "crescendo", "PAIR ASR ↓": "pair", "GCG ASR ↓": "gcg"}
COLUMNS = (*SETS, *TASKS, *ATTACKS)
METRICS = ("acc,none", "exact_match,get_response", "exact_match,flexible-extract", "exact_match,none")
"""lm-eval's names of what counts, the first that a task has: for GSM8K the last number of an answer."""
NOT_THERE = "–"
NO = None

PAPER: dict[str, list[tuple[str, str, tuple[float | None, ...]]]] = {
    "phi3": [
        ("none", "refusal/none", (58.33, 90.50, 6.03, 21.60, 68.80, 65.00, 82.50, 55.92, 91.44, 53.75)),
        ("system prompt", "refusal/system-prompt", (69.50, 96.50, 18.10, 55.20, 68.00, 67.20, 83.50, 29.36, NO, NO)),
        ("PASTA, 64 heads", "", (91.60, 98.50, 56.40, 71.50, 56.30, 63.80, 69.10, 67.70, NO, NO)),
        ("SAE pass, nothing clamped", "refusal/sae-pass", (NO, NO, NO, NO, 66.46, 66.25, 85.67, NO, NO, NO)),
        ("latent at 8", "refusal/clamp-at-8", (NO, NO, NO, NO, NO, NO, NO, NO, 70.30, NO)),
        ("latent at 10", "refusal/clamp-at-10", (90.65, 92.00, 40.63, 36.40, 58.62, 60.11, 69.98, 42.74, 41.10, NO)),
        ("latent at 12", "refusal/clamp-1", (96.02, 94.00, 68.36, 45.60, 35.98, 53.82, 35.56, 32.58, 10.01, NO)),
        ("second latent at 12", "second/clamp-1", (79.10, 94.00, 19.47, 34.40, 57.51, 55.21, 76.88, NO, NO, NO)),
        ("both at 12", "both/clamp-1", (98.81, 96.50, 90.26, 69.60, 25.97, 53.18, 8.34, NO, NO, NO)),
        ("both at 4", "both/clamp-at-4", (NO, NO, NO, NO, 65.79, NO, 84.46, NO, NO, 13.00)),
        ("both at 5", "both/clamp-at-5", (NO, NO, NO, NO, 64.22, NO, 83.70, NO, NO, 8.00)),
        ("both at 6", "both/clamp-at-6", (NO, NO, NO, NO, 61.67, NO, 81.65, NO, NO, 3.25)),
        (
            "latent at 12 behind WildGuard 7B",
            "outside/clamp-1-gated",
            (85.90, 94.50, 9.10, 22.00, 66.19, 65.65, 84.69, NO, NO, NO),
        ),
        ("latent × 100", "", (NO, NO, NO, 32.8, 67.73, NO, NO, NO, NO, NO)),
        ("latent × 250", "", (NO, NO, NO, NO, 43.70, NO, NO, NO, NO, NO)),
        ("latent × 500", "", (NO, NO, NO, NO, 1.80, NO, NO, NO, NO, NO)),
    ],
    "llama31": [
        ("none", "refusal/none", (59.81, 96.00, 3.07, 8.00, 67.95, 68.71, 78.85, NO, NO, NO)),
        ("latent at 1.0", "refusal/clamp-at-1", (67.51, 96.0, 5.40, 8.40, 66.84, 69.36, 83.93, NO, NO, NO)),
        ("latent at 1.5", "refusal/clamp-at-1.5", (72.81, 96.5, 6.88, 5.60, 65.56, 68.97, 81.43, NO, NO, NO)),
        ("latent at 2.0", "refusal/clamp-at-2", (76.53, 97.0, 8.47, 6.80, 63.38, 67.26, 76.57, NO, NO, NO)),
        ("latent at 2.5", "refusal/clamp-1", (79.97, 95.0, 11.85, 8.00, 59.09, 64.59, 60.65, NO, NO, NO)),
        ("latent at 3.0", "refusal/clamp-at-3", (82.23, 97, 16.19, 9.6, 53.13, 60.25, 7.05, NO, NO, NO)),
        ("latent at 4", "refusal/clamp-at-4", (84.48, 94, 24.97, 15.2, 40.04, 53.53, 0.38, NO, NO, NO)),
        ("second latent at 2.0", "second/clamp-at-2", (73.08, 92.5, 7.20, 5.60, 64.78, 58.16, 71.72, NO, NO, NO)),
        ("second latent at 3.0", "second/clamp-at-3", (81.03, 88.5, 12.7, 6.8, 57.61, 23.97, 6.82, NO, NO, NO)),
        ("second latent at 4", "second/clamp-at-4", (88.33, 87, 31.01, 8, 27.75, 0.18, 0.15, NO, NO, NO)),
        ("system prompt", "refusal/system-prompt", (NO,) * 10),
        ("SAE pass, nothing clamped", "refusal/sae-pass", (NO,) * 10),
        ("both at 2.5", "both/clamp-1", (NO,) * 10),
        ("latent at 2.5 behind WildGuard 7B", "outside/clamp-1-gated", (NO,) * 10),
    ],
}
"""What the paper (arXiv 2411.11296) reports, in percent: an arm, ours that goes with it, and a figure a column.

GCG: suffixes on the model that they were found on; transferred, the rates are in docs/paper.md.
"""
OWN = {
    "gated/clamp-1-gated": "latent behind a gate of our own",
    "gated/difference-in-means-1-gated": "difference in means × 1 behind the same gate",
    "gated/system-prompt-gated": "system prompt behind the same gate",
    "gated/fixed-refusal": "a fixed sentence behind the same gate",
    "refusal/clamp-1-reconstruct": "latent, rule `reconstruct`",
    "unrelated/clamp-1": "unrelated latent, same value",
    "refusal/unrelated-latent": "unrelated latent, same ‖Δ‖",
    "refusal/random-latents": "random latents",
    "refusal/difference-in-means-1": "difference in means × 1",
}
"""Arms that the paper lacks, or of which we know no figures."""
STUDIES = ("refusal", "second", "both", "unrelated", "gated", "outside")
TOPICS = ("molotov", "vaccine", "pay", "malware", "manifesto")
PAPER_TOPICS = {
    "phi3": [
        ("none", "refusal/none", (87.63, 21.88, 23.66, 79.78, 66.67)),
        ("latent at 10", "refusal/clamp-at-10", (76.15, 17.76, 27.52, 41.35, 50.94)),
        ("latent at 12", "refusal/clamp-1", (45.45, 17.17, 17.35, 40.40, 42.55)),
    ],
}
"""The same of Crescendo by topic."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PAPER)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    told = page(args.name, args.folder)
    if args.page:
        start, end = f"<!-- {args.name} -->\n", f"<!-- end of {args.name} -->"
        before, _, rest = args.page.read_text(encoding="utf-8").partition(start)
        args.page.write_text(f"{before}{start}{told}{end}{rest.partition(end)[2]}", encoding="utf-8")
    else:
        print(told, end="")


def page(name: str, folder: Path | None) -> str:
    """All of a model's tables: the arms, Crescendo by topic, what opened the gates, and the letters chosen."""
    told = table(name, figures(folder) if folder else {})
    if name in PAPER_TOPICS:
        found = topics(folder) if folder else {}
        told += f"\nCrescendo's success by topic, percent:\n\n{_beside(PAPER_TOPICS[name], TOPICS, found)}"
    return told + (gates(folder) + letters(folder) if folder else "")


def table(name: str, found: Mapping[str, Mapping[str, str]]) -> str:
    """Markdown: the paper's figures and yours in turns, then your arms that the paper does not have."""
    return _beside([*PAPER[name], *((label, arm, ()) for arm, label in OWN.items())], COLUMNS, found)


def _beside(
    paper: Sequence[tuple[str, str, Sequence[float | None]]],
    columns: Sequence[str],
    found: Mapping[str, Mapping[str, str]],
) -> str:
    lines = [("arm", "whose", *columns), ("---",) * (2 + len(columns))]
    for label, arm, values in paper:
        if any(value is not None for value in values):
            lines.append((label, "paper", *(NOT_THERE if v is None else f"{v:.2f}" for v in values)))
            label = ""
        cells = (found.get(arm, {}).get(column, NOT_THERE if found or not arm else "") for column in columns)
        lines.append((label, "yours", *cells))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figures(folder: Path) -> dict[str, dict[str, str]]:
    """What a run of the battery found: by arm and column, as text."""
    found: dict[str, dict[str, str]] = {}
    for study in STUDIES:
        for arm in _read(folder / study / "results.json").get("arms", []):
            found[f"{study}/{arm['name']}"] = _study_cells(arm["measures"])
    for arm in (folder / "lm-eval").glob("*/*"):
        for results in sorted(arm.rglob("results_*.json")):
            cells = found.setdefault(f"{arm.parent.name}/{arm.name}", {})
            cells.update(_task_cells(_read(results)["results"]))
    for column, attack in ATTACKS.items():
        attacked = [arm for arm in _read(folder / f"{attack}.json").get("arms", []) if arm["kind"] == "unsafe"]
        for key, arm in zip(_attacked(folder, attack) if attacked else [], attacked, strict=True):
            for rate in arm["rates"]:
                if rate["metric"] == "attack_success":
                    found.setdefault(key, {})[column] = _told(rate["value"], rate["low"], rate["high"])
    return found


def _attacked(folder: Path, attack: str) -> list[str]:
    """Arms of two studies share names, so what the attack calls them does not tell them apart; their order does."""
    return ["refusal/none", *(folder / f"{attack}.arms").read_text(encoding="utf-8").split()]


def topics(folder: Path) -> dict[str, dict[str, str]]:
    """Crescendo's success by arm and topic, of the conversations that a judge of harm rated."""
    path = folder / "crescendo.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    rows = [json.loads(line) for line in lines if line]
    keys = dict(
        zip(dict.fromkeys(row["arm"] for row in rows), _attacked(folder, "crescendo") if rows else [], strict=True)
    )
    won: dict[tuple[str, str], list[bool]] = {}
    for row in rows:
        if row["success"] is not None:
            won.setdefault((keys[row["arm"]], row["category"]), []).append(row["success"])
    found: dict[str, dict[str, str]] = {}
    for (key, topic), some in won.items():
        found.setdefault(key, {})[topic] = _told(*wilson(sum(some), len(some)))
    return found


def gates(folder: Path) -> str:
    """Markdown: the share of each set that opened the gate, ours and the classifier outside, a gate a line."""
    lines: list[tuple[str, ...]] = []
    for study in ("gated", "outside"):
        for arm in _read(folder / study / "results.json").get("arms", []):
            if arm["name"] == "clamp-1-gated":
                cells = _study_cells(arm["measures"], "gate_open")
                lines.append((f"{study}/{arm['name']}", *(cells.get(column, NOT_THERE) for column in SETS)))
    head = [("gate open, percent", *(column[:-2] for column in SETS)), ("---",) * (1 + len(SETS))]
    return "".join(["\n", *(f"| {' | '.join(line)} |\n" for line in [*head, *lines])]) if lines else ""


def letters(folder: Path) -> str:
    """Markdown: how often each letter was chosen in MMLU, an arm a line; the paper's steered model drifts to "C"."""
    lines: list[tuple[str, ...]] = []
    for study in STUDIES:
        for told in _read(folder / study / "results.json").get("letters", []):
            if not lines:
                lines += [("letters chosen, percent", *told["right"]), ("---",) * (1 + len(told["right"]))]
                lines.append(("right", *_shares(told["right"])))
            lines += [(f"{study}/{arm['arm']}", *_shares(arm["letters"])) for arm in told["arms"]]
    return "".join(["\n", *(f"| {' | '.join(line)} |\n" for line in lines)]) if lines else ""


def _shares(counts: Mapping[str, int]) -> Iterator[str]:
    total = sum(counts.values())
    return (f"{100 * count / total:.1f}" if total else NOT_THERE for count in counts.values())


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _study_cells(measures: list[dict[str, Any]], metric: str = "refusal") -> dict[str, str]:
    rates = {m["set"]: _told(m["value"], m["low"], m["high"]) for m in measures if m["metric"] == metric}
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
