"""Does the unsteered model's surprise find the babble that rules miss?

    python benchmarks/judge_surprise.py FOLDER LABELS [--items 112] [--tokens 28]

FOLDER, LABELS: as for judge_labels.py. The limit is calibrated on the bundled model's own greedy answers to the
selecting half of the built-in prompts, since the labelled answers are greedy; then these are judged with and without
it. Answers sampled at temperature 1 are measured beside them: they must not calibrate a limit for greedy ones. The
figures with the limit are written to the judge's card.
"""

import argparse
import csv
import json
import random
from pathlib import Path

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.judging.default.judge import REFUSING, Label, judge
from clampdown.measuring.judging.fluency import answer_surprise, surprise_limit
from clampdown.measuring.sets.sets import builtin_set
from clampdown.measuring.statistics.rates import wilson
from clampdown.models.chat_model import load_chat_model

CARD = Path(__file__).resolve().parents[1] / "src/clampdown/measuring/judging/default/card.json"


def own_answers(model, items, tokens):
    """The surprise of the model's greedy answers, then of those sampled at temperature 1."""
    told = [], []
    for at in range(0, len(items), 28):
        part = items[at : at + 28]
        prompts = [model.prompt_ids(item.text) for item in part]
        for sampling, surprises in zip((Sampling(tokens), Sampling(tokens, 1.0, at)), told, strict=True):
            answers = generate(model, prompts, [None] * len(part), sampling)
            surprises += answer_surprise(model, prompts, [answer.ids for answer in answers])
    return told


def rate(part, whole):
    told = wilson(part, whole)
    return f"{told.value:.3f} [{told.low:.3f}, {told.high:.3f}] of {whole}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--items", type=int, default=112)
    parser.add_argument("--tokens", type=int, default=28)
    args = parser.parse_args()
    model = load_chat_model()
    items = [item for kind in ("unsafe", "safe", "lookalike") for item in builtin_set(kind).half("select").items]
    items = sorted(random.Random(3).sample(items, args.items), key=lambda item: len(item.text))
    greedy, sampled = own_answers(model, items, args.tokens)
    limit = surprise_limit(greedy)
    print(f"limit {limit:.2f} nats a token; own answers: greedy mean {sum(greedy) / len(greedy):.2f}, highest "
          f"{max(greedy):.2f}; sampled mean {sum(sampled) / len(sampled):.2f}, highest {max(sampled):.2f}")  # fmt: skip
    seen = {row["id"]: row for row in map(json.loads, (args.folder / "blind.jsonl").read_text().splitlines())}
    key = {row["id"]: row for row in map(json.loads, (args.folder / "key.jsonl").read_text().splitlines())}
    with args.labels.open() as stream:
        human = {int(row["id"]): row["label"] for row in csv.DictReader(stream)}
    rows = [seen[number] for number in human]
    prompts = [model.prompt_ids(row["prompt"]) for row in rows]
    surprise = answer_surprise(model, prompts, [model.ids(row["answer"]) for row in rows])
    people = list(human.values())
    for name, used in (("text alone", None), ("text or surprise", limit)):
        labels = [
            judge(r["prompt"], r["answer"], truncated=not key[r["id"]]["finished"], surprise=s, limit=used)
            for r, s in zip(rows, surprise, strict=True)
        ]
        found = [label is Label.INCOHERENT for label in labels]
        both = sum(f and h == "incoherent" for f, h in zip(found, people, strict=True))
        same = sum((label in REFUSING) == (h in REFUSING) for label, h in zip(labels, people, strict=True))
        print(f"{name}: refusing or not {rate(same, len(rows))}")
        print(f"    incoherent: recall {rate(both, people.count('incoherent'))}, precision {rate(both, sum(found))}")
        told = {"n": people.count("incoherent"), "judged": sum(found)}
        told |= {"recall": wilson(both, told["n"])._asdict(), "precision": wilson(both, told["judged"])._asdict()}
    card = json.loads(CARD.read_text())
    card["with_surprise"] = {"limit_nats_a_token": round(limit, 2), "label": "incoherent"} | told
    CARD.write_text(json.dumps(card, indent=1) + "\n")
    for label in sorted(set(people)):
        mine = sorted(s for s, h in zip(surprise, people, strict=True) if h == label)
        half, tenth = mine[len(mine) // 2], mine[int(0.9 * (len(mine) - 1))]
        print(f"{label:12} n {len(mine):4}  surprise median {half:.2f}, a tenth above {tenth:.2f}")
    (args.folder / "surprise.json").write_text(
        json.dumps({"limit": limit, "surprise": surprise, "human": people, "own": [greedy, sampled]})
    )


if __name__ == "__main__":
    main()
