"""A gated recipe on public sets: what opens its gate, what is then refused, and what that costs everything else.

    python benchmarks/gated.py GATED.toml DATA [--limit 100] [--ordinary 600] [--tokens 64] [--json FIGURES.json]

DATA is a folder of public sets, laid out as `requests` and CAPABILITY name them. None of them is used in fitting.

Every prompt is scored by the gate and answered without steering. A shut row is answered as the model alone would (a
test holds that), so only open rows are answered again under each arm, all with the very same gate: the clamp (the
recipe as it is), the difference in means (the dense direction in the same window), the safety system prompt in place of
steering, and one fixed sentence with no model behind it. "No gate" steers every row, as in the paper, on at most
`--limit` prompts of a set.

Refused means: declined, in part at least, and without looping. Intervals are Wilson's, 95%; differences are paired, by
bootstrap. A capability question that the gate opens on is scored with the clamp on.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from clampdown.discovery.gates.scores import prompt_scores
from clampdown.engine.generation import generate_apart
from clampdown.engine.request import Sampling
from clampdown.measuring.judge import JUDGE_VERSION, REFUSING, judge, loops
from clampdown.measuring.likelihood import bits_per_byte, choice_scores, text_nats
from clampdown.measuring.ranking import auc, share_at
from clampdown.measuring.sets import Item
from clampdown.measuring.statistics import paired_bootstrap, wilson
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.models.prompt import Prompt
from clampdown.reading import unpacked
from clampdown.recipe import Recipe
from clampdown.steering.gates.compiled import compile_gate
from clampdown.studies.arms import SAFETY_PROMPT
from clampdown.studies.controls import difference_in_means
from clampdown.studies.plan import Plan

BATCH = 64
CAPABILITY = {"hellaswag": "hellaswag_sample", "piqa": "piqa_test", "openbookqa": "openbookqa_test"} | {
    "arc": "arc_challenge_train"
}
Chat = list[dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("data", type=Path)
    for name, number in (("limit", 100), ("ordinary", 600), ("tokens", 64), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = load_chat_model(dtype=args.dtype)
    recipe = Recipe.load(args.recipe)
    bench = Bench(model, recipe, args.tokens, args.limit)
    print(f"{model.name}, {model.dtype}; {args.recipe.name}; judge {JUDGE_VERSION}; {args.tokens} tokens")
    for name, (chats, unsafe) in requests(args.data, args.limit, args.ordinary, args.seed).items():
        bench.answered(name, chats, unsafe)
    bench.look_alikes()
    bench.capability(args.data / "capability", 2 * args.limit, args.seed)
    bench.passages([row["text"] for row in rows_of(args.data / "corpus/wikitext2_test.jsonl")][:30])
    if args.json:
        args.json.write_text(json.dumps(bench.figures, indent=1))


def requests(data: Path, limit: int, ordinary: int, seed: int) -> dict[str, tuple[list[Chat], bool]]:
    """Sets of chats by name, each with whether it deserves refusal."""

    def some(path: str, key: str = "prompt", number: int = limit, **wanted: str) -> list[str]:
        rows = [row for row in rows_of(data / path) if all(row[k] == v for k, v in wanted.items())]
        random.Random(f"{seed} {path} {wanted}").shuffle(rows)
        return [row[key] for row in rows[:number]]

    unsafe = {
        "AdvBench": some("unsafe/advbench.jsonl"),
        "HarmBench standard": some("unsafe/harmbench_text_all.jsonl", functional_category="standard"),
        "StrongREJECT": some("unsafe/strongreject.jsonl"),
        "XSTest unsafe": some("overrefusal/xstest_v2.jsonl", number=200, label="unsafe"),
    }
    safe = {
        "instructions": some("corpus/alpaca_instructions.jsonl.gz", "instruction", ordinary),
        "XSTest safe": some("overrefusal/xstest_v2.jsonl", number=250, label="safe"),
        "OKTest": some("overrefusal/oktest.jsonl", number=300),
    }
    wrappers = [row["template"] for row in rows_of(data / "jailbreak/pyrit_templates.jsonl") if fits(row)]
    random.Random(seed).shuffle(wrappers)
    plain = some("corpus/alpaca_instructions.jsonl.gz", "instruction", ordinary + limit)[ordinary:]
    for into, name, inner in ((unsafe, "wrapped unsafe", unsafe["AdvBench"]), (safe, "wrapped ordinary", plain)):
        into[name] = [wrapped(wrappers[i % len(wrappers)], text) for i, text in enumerate(inner)]
    return {
        name: ([[{"role": "user", "content": text}] for text in texts], sets is unsafe)
        for sets in (unsafe, safe)
        for name, texts in sets.items()
    }


def fits(row: dict[str, Any]) -> bool:
    """Whether a wrapper has one place to fill, and is not too long to be tried by the dozen."""
    return row["parameters"] == ["prompt"] and len(row["template"]) < 3000 and "{{ prompt }}" in row["template"]


def wrapped(template: str, text: str) -> str:
    return template.replace("{{ prompt }}", text)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in unpacked(path.read_bytes(), path).decode().splitlines() if line.strip()]


class Bench:
    """The model, the recipe's arms behind one gate, and what was measured so far."""

    def __init__(self, model: ChatModel, recipe: Recipe, tokens: int, limit: int) -> None:
        self.model, self.recipe, self.limit = model, recipe, limit
        self.gate = compile_gate(model, recipe)
        self.sampling = Sampling(max_new_tokens=tokens)
        self.open = recipe.deciding("open")
        [dense, *_] = difference_in_means(model, recipe, Plan(strengths=(1.0,)))
        assert dense[4][0] is not None
        self.arms = {"clamp": self.open, "difference in means": replace(self.open, edits=dense[4][0].edits)}
        self.scores: dict[str, np.ndarray[Any, Any]] = {}
        self.figures: dict[str, Any] = {}

    def answered(self, name: str, chats: Sequence[Chat], unsafe: bool) -> None:
        """One set: the share that opens the gate, and what is refused under each arm."""
        prompts = [self.model.prompt_ids(chat) for chat in chats]
        scores = prompt_scores(self.model, [self.gate], prompts)[0].numpy()
        self.scores[name] = scores
        opened, texts = scores >= self.gate.threshold, [chat[-1]["content"] for chat in chats]
        places = [int(place) for place in np.flatnonzero(opened)]
        none = self.refused(prompts, texts, None)
        told: dict[str, Any] = {"n": len(chats), "open": rate(opened), "none": rate(none)}
        for arm, steered in self.arms.items():
            told |= self._behind(arm, none, places, self.refused(of(prompts, places), of(texts, places), steered))
        asked = [self.model.prompt_ids(chats[place], system=SAFETY_PROMPT) for place in places]
        told |= self._behind("system prompt", none, places, self.refused(asked, of(texts, places), None))
        told |= self._behind("fixed sentence", none, places, np.ones(len(places), dtype=bool))
        few = list(range(min(self.limit, len(prompts))))
        told["clamp, no gate"] = rate(self.refused(of(prompts, few), of(texts, few), self.open))
        self.figures[name] = told
        print(f"\n{name} ({'unsafe' if unsafe else 'safe'}, n {len(chats)})")
        for key, value in told.items():
            if key != "n":
                print(f"  {key:34} {shown(value)}", flush=True)

    def _behind(self, arm: str, none: Any, places: list[int], refused: Any) -> dict[str, Any]:
        """An arm's rates with the gate: over all rows, over open ones, and the difference from no steering."""
        whole = none.copy()
        whole[places] = refused
        return {
            f"{arm}, gated": rate(whole),
            f"{arm}, when open": rate(refused),
            f"{arm}, gated less none": difference(whole, none),
        }

    def refused(self, prompts: Sequence[Prompt], texts: Sequence[str], recipe: Recipe | None) -> Any:
        """Which prompts are refused without looping, bool [prompt]."""
        found = np.zeros(len(prompts), dtype=bool)
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        for some in batches(order, prompts):
            answers = generate_apart(self.model, of(prompts, some), [recipe] * len(some), self.sampling)
            for place, answer in zip(some, answers, strict=True):
                label = judge(texts[place], answer.text, truncated=not answer.finished)
                found[place] = label in REFUSING and not loops(texts[place], answer.text)
        return found

    def look_alikes(self) -> None:
        """XSTest: how well scores tell its two halves apart."""
        unsafe, safe = self.scores["XSTest unsafe"], self.scores["XSTest safe"]
        area, at = auc(unsafe, safe), {share: share_at(unsafe, safe, share) for share in (0.05, 0.10)}
        self.figures["XSTest"] = {"auc": list(area), "open at": at}
        print(f"\nXSTest: AUC {area.value:.3f} [{area.low:.3f}, {area.high:.3f}], unsafe open at 5% of safe "
              f"{at[0.05]:.2f}, at 10% {at[0.10]:.2f}")  # fmt: skip

    def capability(self, folder: Path, limit: int, seed: int) -> None:
        """Questions asked as chats: the loss behind the gate, and with the gate forced open; five-shot: open gates."""
        none, gated, forced = [], [], []
        for name, file in CAPABILITY.items():
            rows = rows_of(folder / f"{file}.jsonl")
            random.Random(f"{seed} {name}").shuffle(rows)
            items = [question(row, name, i) for i, row in enumerate(rows[:limit])]
            prompts = [self.model.prompt_ids(item.text) for item in items]
            opened = prompt_scores(self.model, [self.gate], prompts)[0].numpy() >= self.gate.threshold
            shots = "".join(f"Question: {q.text}\nAnswer: {q.choices[q.answer]}\n\n" for q in map(
                lambda row: question(row, name, 0), rows[limit : limit + 5]))  # fmt: skip
            raw = [Prompt(self.model.text_ids(f"{shots}Question: {item.text}\nAnswer:")) for item in items]
            told = prompt_scores(self.model, [self.gate], raw)[0].numpy() >= self.gate.threshold
            right, steered = self.right(items, None), self.right(items, self.open)
            none += [right]
            forced += [steered]
            gated += [np.where(opened, steered, right)]
            self.figures[name] = {"n": len(items), "open": rate(opened), "open, five-shot": rate(told)}
            self.figures[name] |= {"none": rate(right), "gated": rate(gated[-1]), "forced open": rate(steered)}
            print(f"\n{name} (n {len(items)})")
            for key, value in self.figures[name].items():
                if key != "n":
                    print(f"  {key:34} {shown(value)}", flush=True)
        whole = [np.concatenate(some) for some in (none, gated, forced)]
        self.figures["capability"] = {"n": len(whole[0])}
        for key, arm in (("gated less none", whole[1]), ("forced open less none", whole[2])):
            self.figures["capability"][key] = difference(arm, whole[0])
            print(f"all questions (n {len(whole[0])}), {key}: {shown(self.figures['capability'][key])}", flush=True)

    def right(self, items: Sequence[Item], recipe: Recipe | None) -> Any:
        found = np.zeros(len(items), dtype=bool)
        order = sorted(range(len(items)), key=lambda place: (len(items[place].choices), len(items[place].text)))
        for start in range(0, len(order), 32):
            some = order[start : start + 32]
            for place, told in zip(some, choice_scores(self.model, of(items, some), recipe), strict=True):
                found[place] = int(np.argmax(told)) == items[place].answer
        return found

    def passages(self, texts: Sequence[str]) -> None:
        """Bits per byte with the gate forced open, and how many plain passages would open it."""
        texts = [text[:3000] for text in texts]
        raw = [Prompt(self.model.text_ids(text)) for text in texts]
        opened = prompt_scores(self.model, [self.gate], raw)[0].numpy() >= self.gate.threshold
        bits = {}
        for name, recipe in (("none", None), ("forced open", self.open)):
            nats = [pair for text in texts for pair in text_nats(self.model, [text], recipe)]
            bits[name] = bits_per_byte(sum(n for n, _ in nats), sum(b for _, b in nats))
        self.figures["passages"] = {"n": len(texts), "open": rate(opened), "bits per byte": bits}
        print(f"\nWikiText-2 (n {len(texts)}): open {shown(rate(opened))}; bits per byte none {bits['none']:.3f}, "
              f"forced open {bits['forced open']:.3f}")  # fmt: skip


def question(row: dict[str, Any], name: str, number: int) -> Item:
    text, choices = row.get("question") or row.get("context"), row.get("choices") or row.get("endings")
    assert isinstance(text, str) and choices is not None
    return Item(f"{name}-{number}", text, name, f"{name}-{number}", tuple(choices), int(row["answer"]))


def batches(order: Sequence[int], prompts: Sequence[Prompt], tokens: int = 12_000) -> Iterator[list[int]]:
    """Places in groups of at most BATCH rows and so many tokens of prompts, padding included."""
    some: list[int] = []
    for place in order:
        if some and (len(some) == BATCH or (len(some) + 1) * len(prompts[place]) > tokens):
            yield some
            some = []
        some.append(place)
    if some:
        yield some


def of(items: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [items[place] for place in places]


def rate(hits: Any) -> list[float]:
    """A share and its interval, in percent, and n."""
    if not len(hits):
        return []
    told = wilson(int(np.sum(hits)), len(hits))
    return [round(100 * value, 1) for value in (told.value, told.low, told.high)] + [len(hits)]


def difference(one: Any, other: Any) -> list[float]:
    """The paired difference of two shares and its interval, in points, and n."""
    told = paired_bootstrap(other.astype(float), one.astype(float), seed=0)
    return [round(100 * value, 1) for value in (told.value, told.low, told.high)] + [len(one)]


def shown(told: list[float]) -> str:
    return f"{told[0]:5.1f} [{told[1]:.1f}, {told[2]:.1f}] n {told[3]}" if told else "    – (none)"


if __name__ == "__main__":
    main()
