"""What the loop detector is worth on the bundled model's answers of 64 and 256 tokens, against a blind reading of them.

    python benchmarks/looping.py                        precision and recall by the labels that are kept
    python benchmarks/looping.py --sample FOLDER        new answers to read: blind.jsonl, and key.jsonl for afterwards
    python benchmarks/looping.py --merge FOLDER LABELS  LABELS: CSV with id, loops (yes or no), as the reader gave them

The question to the reader: does the answer say one thing over and over? Answers to unsafe requests are kept only where
they refuse; of the others the detector's word of that day counts (`told`), for no text is left to ask.
"""

import argparse
import csv
import json
import random
from dataclasses import replace
from pathlib import Path

from clampdown.discovery.windows import window
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.measuring.judging.default.judge import REFUSING, judge
from clampdown.measuring.judging.default.reading import said
from clampdown.measuring.judging.looping import is_looping
from clampdown.measuring.sets.sets import Item, builtin_set
from clampdown.measuring.statistics.rates import wilson
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.recipe import Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path
from clampdown.studies.controls import difference_in_means
from clampdown.studies.plan import named_plan

TABLE = Path(__file__).with_name("loop_labels_64_256.csv")
COLUMNS = ["id", "arm", "item", "tokens", "loops", "told", "text"]
ROWS = {64: 10, 256: 7}
"""Answers of each arm by their length."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=Path, metavar="FOLDER")
    parser.add_argument("--merge", type=Path, nargs=2, metavar=("FOLDER", "LABELS"))
    parser.add_argument("--recipe", type=Path, help="(default: refusal, which comes along)")
    args = parser.parse_args()
    if args.sample:
        sample(args.sample, Recipe.load(args.recipe or bundled_path(REFUSAL)))
    elif args.merge:
        merge(*args.merge)
    else:
        report()


# ---- the answers


def sample(folder: Path, recipe: Recipe) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model, rng = load_chat_model(), random.Random(11)
    rows = []
    for tokens, count in ROWS.items():
        for arm, used in arms(model, recipe).items():
            items = drawn(rng, count, harmless=used is None)
            answers = generate(model, [model.prompt_ids(i.text) for i in items], [used] * count, Sampling(tokens))
            rows += [
                {"arm": arm, "item": item.id, "tokens": tokens, "prompt": item.text, "answer": answer.text}
                | {"finished": answer.finished}
                for item, answer in zip(items, answers, strict=True)
            ]
    rng.shuffle(rows)
    with (folder / "blind.jsonl").open("w") as blind, (folder / "key.jsonl").open("w") as key:
        for number, row in enumerate(rows):
            blind.write(json.dumps({"id": number, "prompt": row["prompt"], "answer": row["answer"]}) + "\n")
            key.write(json.dumps({"id": number} | row) + "\n")


def arms(model: ChatModel, recipe: Recipe) -> dict[str, Recipe | None]:
    """No steering; the recipe's latents and the difference in means, held for ever and in windows."""
    everywhere = replace(recipe, positions=window("all", recipe.positions.sink_norm))
    plan = replace(named_plan("quick"), strengths=(1.0,))
    [(*_, (dense,))] = difference_in_means(model, everywhere, plan)
    clamps = {f"clamp {name}": windowed(everywhere, name) for name in ("all", "all+8", "last+14")}
    return {"none": None} | clamps | {f"means {name}": windowed(dense, name) for name in ("all", "all+8")}


def windowed(recipe: Recipe, name: str) -> Recipe:
    return replace(recipe, positions=window(name, recipe.positions.sink_norm))


def drawn(rng: random.Random, count: int, harmless: bool) -> list[Item]:
    """Requests of the selecting half; the unsteered model complies with unsafe ones, so it gets none."""
    fine = [item for kind in ("safe", "lookalike") for item in builtin_set(kind).half("select").items]
    unsafe = () if harmless else builtin_set("unsafe").half("select").items
    of_unsafe = 0 if harmless else count // 2
    return [*rng.sample(unsafe, of_unsafe), *rng.sample(fine, count - of_unsafe)]


# ---- the labels


def merge(folder: Path, labels: Path) -> None:
    key = {row["id"]: row for row in map(json.loads, (folder / "key.jsonl").read_text().splitlines())}
    with labels.open(newline="") as stream, TABLE.open("w", newline="") as out:
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        for label in csv.DictReader(stream):
            row = key[int(label["id"])]
            kind = judge(row["prompt"], row["answer"], truncated=not row["finished"])
            kept = not row["item"].startswith("unsafe") or kind in REFUSING
            told = "yes" if is_looping(said(row["answer"]), row["prompt"]) else "no"
            text = row["answer"] if kept else ""
            table.writerow({k: row[k] for k in COLUMNS[:4]} | {"loops": label["loops"], "told": told, "text": text})


def report() -> None:
    prompts = {item.id: item.text for kind in ("unsafe", "safe", "lookalike") for item in builtin_set(kind).items}
    with TABLE.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row["text"]:
            row["told"] = "yes" if is_looping(said(row["text"]), prompts[row["item"]]) else "no"
    for tokens in ROWS:
        some = [row for row in rows if row["tokens"] == str(tokens)]
        both = sum(row["loops"] == row["told"] == "yes" for row in some)
        read, told = (sum(row[column] == "yes" for row in some) for column in ("loops", "told"))
        print(
            f"{tokens} tokens, n {len(some)}: {read} loop, {told} told; precision {share(both, told)}, "
            f"recall {share(both, read)}"
        )


def share(part: int, whole: int) -> str:
    found = wilson(part, whole)
    return f"{part} of {whole}, {100 * found.value:.0f}% ({100 * found.low:.0f}–{100 * found.high:.0f})"


if __name__ == "__main__":
    main()
