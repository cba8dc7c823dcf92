"""Answers of the bundled model for a blind reading: many arms, shuffled, the arm and the judge's label kept apart.

    python label_sample.py OUT_FOLDER [--recipe FILE] [--rows 330]

Writes `blind.jsonl` (id, prompt, answer) for the reader, and `key.jsonl` (id, arm, finished, judge) to be opened
afterwards. The answers stay out of the repository; the reader's labels do not: `benchmarks/judge_labels.csv`.
"""

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path

from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.judging.default.judge import judge
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import load_chat_model
from clampdown.recipe import Direction, Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.steering.scaling import scaled

ARMS = {"none": None, "clamp": 1.0, "clamp-strong": 1.4, "clamp-far": 2.4, "random-direction": 0.0}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--rows", type=int, default=330)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = load_chat_model()
    base = Recipe.load(args.recipe or bundled_path(REFUSAL))
    rng = random.Random(8)
    items = [item for kind in ("unsafe", "safe", "lookalike") for item in builtin_set(kind).half("select").items]
    rows = []
    for arm, factor in ARMS.items():
        recipe = None if factor is None else replace(base, edits=scaled(base, factor))
        if arm == "random-direction":
            recipe = replace(base, edits=(Direction(12, 110.0, seed=3),))
        chosen = sorted(rng.sample(items, args.rows // len(ARMS)), key=lambda item: len(item.text))
        for at in range(0, len(chosen), 33):
            batch = chosen[at : at + 33]
            prompts = [model.prompt_ids(item.text) for item in batch]
            for item, answer in zip(batch, generate(model, prompts, [recipe] * len(batch), Sampling(28)), strict=True):
                label = judge(item.text, answer.text, truncated=not answer.finished)
                told = {"arm": arm, "prompt": item.text, "item": item.id, "answer": answer.text}
                rows.append(told | {"finished": answer.finished, "judge": label})
    rng.shuffle(rows)
    with (args.out / "blind.jsonl").open("w") as blind, (args.out / "key.jsonl").open("w") as key:
        for number, row in enumerate(rows):
            blind.write(json.dumps({"id": number, "prompt": row["prompt"], "answer": row["answer"]}) + "\n")
            key.write(json.dumps({"id": number, **{k: row[k] for k in ("arm", "item", "finished", "judge")}}) + "\n")


if __name__ == "__main__":
    main()
