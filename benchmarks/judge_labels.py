"""What the judge is worth on the bundled model's own answers, against a blind reading of them.

    python benchmarks/label_sample.py FOLDER          # answers to read, arms and the judge's labels kept apart
    python benchmarks/judge_labels.py FOLDER LABELS   # LABELS: CSV with id, label, as the reader gave them

Judges the answers anew, so that the figures are today's judge's. Prints recall and precision per label with n,
agreement on refusing or not, and writes the merged table (no answers in it) to benchmarks/judge_labels.csv and the
figures to the package's judge card, beside those of judge_agreement.py, which are entered there by hand.
"""

import argparse
import csv
import json
from pathlib import Path

from clampdown.measuring.judging.default.judge import JUDGE_VERSION, judge
from clampdown.measuring.statistics.rates import wilson

ROOT = Path(__file__).resolve().parents[1]
CARD = ROOT / "src/clampdown/measuring/judging/default/card.json"
REFUSING = {"refusal", "partial", "moralising"}


def ratio(part, whole):
    return {"value": part / whole, "low": (w := wilson(part, whole)).low, "high": w.high} if whole else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    args = parser.parse_args()
    blind, key = (
        {row["id"]: row for row in map(json.loads, (args.folder / name).read_text().splitlines())}
        for name in ("blind.jsonl", "key.jsonl")
    )
    for number, row in key.items():
        seen = blind[number]
        row["judge"] = str(judge(seen["prompt"], seen["answer"], truncated=not row["finished"]))
    with args.labels.open() as stream:
        rows = [(key[int(r["id"])], r["label"]) for r in csv.DictReader(stream)]
    labels = sorted({human for _, human in rows} | {row["judge"] for row, _ in rows})
    card = json.loads(CARD.read_text()) | {"judge": JUDGE_VERSION, "n": len(rows), "labels": []}
    for label in labels:
        human = sum(h == label for _, h in rows)
        judged = sum(r["judge"] == label for r, _ in rows)
        both = sum(h == label == r["judge"] for r, h in rows)
        recall, precision = ratio(both, human), ratio(both, judged)
        card["labels"].append({"label": label, "n": human, "judged": judged, "recall": recall, "precision": precision})
        shown = [f"{x['value']:.2f} [{x['low']:.2f}, {x['high']:.2f}]" if x else "-" for x in (recall, precision)]
        print(f"{label:12} read {human:4} judged {judged:4}  recall {shown[0]:20} precision {shown[1]}")
    same = sum((h in REFUSING) == (r["judge"] in REFUSING) for r, h in rows)
    card["agreement"] = ratio(same, len(rows))
    print(f"refusing or not: {same} of {len(rows)} agree, {card['agreement']}")
    CARD.write_text(json.dumps(card, indent=1) + "\n")
    with (ROOT / "benchmarks/judge_labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "arm", "item", "read", "judge"])
        table.writerows([r["id"], r["arm"], r["item"], h, r["judge"]] for r, h in rows)


if __name__ == "__main__":
    main()
