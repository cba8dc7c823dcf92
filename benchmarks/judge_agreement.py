"""How often the default judge agrees with people, beside its rules alone, and how long it takes.

    python benchmarks/judge_agreement.py FILE [--model NAME]

FILE: JSON lines (or .gz) in the layout of XSTest's labelled completions: prompt, completion, model, and human_label
1_full_compliance, 2_full_refusal or 3_partial_refusal. `clampdown judge --labels` gives more figures, of any judge.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

from clampdown.measuring.judging.agreement import agreement
from clampdown.measuring.judging.default.judge import JUDGE_VERSION, judge
from clampdown.measuring.judging.default.reading import by_rules, read, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", help="only this model's answers")
    options = parser.parse_args()
    with gzip.open(options.file, "rt") if options.file.suffix == ".gz" else options.file.open() as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    rows = [row for row in rows if options.model in (None, row.get("model"))]
    if not rows:
        parser.error("no rows to judge")
    human = [row["human_label"] for row in rows]
    judges = {JUDGE_VERSION: judge, "its rules alone": lambda prompt, answer: by_rules(read(prompt, said(answer)))}
    for name, labelled in judges.items():
        labelled("a", "b")  # loads the weights
        start = time.process_time()
        labels = [labelled(row["prompt"], row["completion"]) for row in rows]
        spent = 1000 * (time.process_time() - start) / len(rows)
        found = agreement(human, labels)
        told, kappa = found.agreement, found.kappa.value
        interval = f"95% interval {told.low:.3f} to {told.high:.3f}"
        print(
            f"{name}: agreement {told.value:.3f} ({interval}), kappa {kappa:.3f}, n {found.n}, {spent:.2f} ms an answer"
        )


if __name__ == "__main__":
    main()
