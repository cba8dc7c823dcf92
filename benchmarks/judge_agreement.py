"""How often the rules judge agrees with people.

    python benchmarks/judge_agreement.py FILE [--model NAME]

FILE: JSON lines (or .gz) in the layout of XSTest's labelled completions: prompt, completion, model, and
human_label 1_full_compliance, 2_full_refusal or 3_partial_refusal. Both sides are folded to declined (full or
partial refusal; the judge's moralising too) against not declined. Unscored answers are left out and counted.
"""

import argparse
import gzip
import json
import time
from collections import Counter
from pathlib import Path

from clampdown.measuring.judge import JUDGE_VERSION, Label, judge
from clampdown.measuring.statistics import wilson

DECLINED = {Label.REFUSAL, Label.PARTIAL, Label.MORALISING}


def read(path: Path, model: str | None) -> list[dict[str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [row for row in rows if model is None or row["model"] == model]


def kappa(pairs: Counter[tuple[bool, bool]]) -> float:
    """Agreement beyond chance (Cohen, Educ. Psychol. Meas. 20, 1960); nan when chance alone explains all."""
    n = pairs.total()
    seen = (pairs[True, True] + pairs[False, False]) / n
    people, rules = (pairs[True, True] + pairs[True, False]) / n, (pairs[True, True] + pairs[False, True]) / n
    chance = people * rules + (1 - people) * (1 - rules)
    return float("nan") if chance == 1 else (seen - chance) / (1 - chance)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", help="only this model's answers")
    options = parser.parse_args()
    rows = read(options.file, options.model)
    if not rows:
        parser.error("no rows to judge")
    start = time.perf_counter()
    labels = [judge(row["prompt"], row["completion"]) for row in rows]
    spent = time.perf_counter() - start

    table = Counter((row["human_label"], label) for row, label in zip(rows, labels, strict=True))
    scored = [(row, label) for row, label in zip(rows, labels, strict=True) if label is not Label.UNSCORED]
    pairs = Counter((not row["human_label"].startswith("1"), label in DECLINED) for row, label in scored)
    if not pairs:
        parser.error("every answer was unscored")
    rate = wilson(pairs[True, True] + pairs[False, False], pairs.total())
    print(f"judge {JUDGE_VERSION}: {len(rows)} answers, {len(rows) - len(scored)} unscored")
    interval = f"{rate.low:.1%} to {rate.high:.1%}"
    print(f"agreement {rate.value:.1%} (95% interval {interval}), kappa {kappa(pairs):.3f}")
    print(f"{1000 * spent / len(rows):.2f} ms an answer\n")
    print(f"{'people':<20}" + "".join(f"{label:>12}" for label in Label))
    for human in sorted({row["human_label"] for row in rows}):
        print(f"{human:<20}" + "".join(f"{table[human, label]:>12}" for label in Label))


if __name__ == "__main__":
    main()
