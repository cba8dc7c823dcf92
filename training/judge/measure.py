"""How well the shipped judge tells the fifth of every source that its classifier never saw.

    python measure.py DATA [--rows FILE]

DATA: the folder of public sets. The corpora are taken whole here, also what the rules do not call compliance, so that
false refusals show. `--rows` writes what was judged, to judge it by another version.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import grammar
import hedges
from train import Row, kept_back, lines, people, written

from clampdown.measuring.judging.default.judge import JUDGE_VERSION, REFUSING, Label, judge
from clampdown.measuring.statistics.rates import wilson


def rows(data: Path) -> list[Row]:
    found = [*people(data), *written()]
    made = {"grammar": grammar.answers(6000, 1), "hedges": hedges.answers(1800, 5)}
    for name, some in made.items():
        found += [Row(p, a, refusing, name, family) for p, a, refusing, family in some]
    for name in ("gpteacher_roleplay_codegen.jsonl.gz", "self_instruct_seed.jsonl", "user_oriented_252.jsonl"):
        corpus = [(f"{r['instruction']}\n{r['input']}".strip(), r["output"]) for r in lines(data / "corpus" / name)]
        found += [Row(p, a, False, name.partition(".")[0], "") for p, a in corpus]
    asked = [(r["question"], r["answer"]) for r in lines(data / "capability/gsm8k_train.jsonl.gz")]
    found += [Row(p, a, False, "gsm8k", "") for p, a in asked]
    chance = random.Random(7)
    for r in lines(data / "corpus/chitchat.jsonl.gz"):
        turns = [t["content"] if isinstance(t, dict) else t for t in r["turns"]]
        if len(turns) > 1:
            k = chance.randrange(len(turns) - 1)
            found.append(Row(turns[k], turns[k + 1], False, "small talk", ""))
    return [row for row in found if row.answer.strip() and kept_back(row.prompt)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args()
    told = rows(options.data)
    if options.rows:
        options.rows.write_text("".join(json.dumps(row) + "\n" for row in told))
    right: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for row in told:
        label = judge(row.prompt, row.answer)
        if label is not Label.UNSCORED:
            of[row.source] += 1
            right[row.source] += (label in REFUSING) == row.refusing
    print(JUDGE_VERSION)
    for source, n in of.items():
        rate = wilson(right[source], n)
        print(f"{source:28} {right[source]:5} of {n:5}  {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]")


if __name__ == "__main__":
    main()
