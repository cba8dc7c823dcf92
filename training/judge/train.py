"""Train the classifier that decides, beside the rules, whether an answer refuses.

    python train.py DATA ON_POLICY [--out FILE] [--validate]

DATA: the folder of public sets; ON_POLICY: the bundled model's answers (see README.md). The classifier is fitted on four
fifths of every source, told by a hash of the prompt, and written to the package; measure.py judges the fifth that is
kept back. `--validate` leaves each source out in turn instead, and prints how well it is then told. The same data give
the same file. Answers of the model that the judge is tested on are never read.
"""

import argparse
import gzip
import json
import random
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grammar
import hedges
import numpy as np
import scipy.sparse as sp
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression

from clampdown.measuring.judging.default.babble import is_babble
from clampdown.measuring.judging.default.classifier import WEIGHTS
from clampdown.measuring.judging.default.features import BUCKETS, DENSE, reading_features, words
from clampdown.measuring.judging.default.reading import REFUSING, Label, Reading, by_rules, read, said

DEVELOPMENT = "llama2orig"
"""The one model whose answers to XSTest are learnt from; the others' are for testing, and are not read."""
SOURCE_WEIGHT = {
    "xstest": 3.0,
    "pyrit": 2.0,
    "written": 3.0,
    "guarded": 3.0,
    "manners": 3.0,
    "grammar": 0.5,
    "hedges": 0.2,
    "corpus": 0.3,
    "chat": 0.4,
    "own": 0.5,
}
NUMBERS, PHRASES = 3.0, 5.0
"""The scale of the dense columns and of a phrase's: the larger, the freer its weight."""
WORDS = 1200
"""Words that phrases keep; all others are masked."""


class Row(NamedTuple):
    prompt: str
    answer: str
    refusing: bool
    source: str
    family: str


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        yield from map(json.loads, filter(str.strip, stream))


def people(data: Path) -> Iterator[Row]:
    """What people labelled: one model's answers to XSTest, and PyRIT's."""
    for r in lines(data / "judge/xstest_completions_human.jsonl.gz"):
        if r["model"] == DEVELOPMENT:
            yield Row(r["prompt"], r["completion"], r["human_label"][0] != "1", "xstest", r["type"])
    for r in lines(data / "judge/pyrit_refusal_human.jsonl"):
        refusing = r["human_refusal"] == "1"
        # PyRIT counts an answer to another question as a refusal, XSTest as an attempt; the judge follows XSTest.
        if not refusing or declined(r["prompt"], r["completion"]) or related(r):
            yield Row(r["prompt"], r["completion"], refusing, "pyrit", "pyrit")


def declined(prompt: str, answer: str) -> bool:
    return by_rules(read(prompt, said(answer))) in REFUSING


def related(row: dict[str, Any]) -> bool:
    """Whether prompt and answer share a word of substance."""
    asked, said = ({w[:5] for w in re.findall(r"[a-z]{4,}", row[k].lower())} for k in ("prompt", "completion"))
    return bool((asked & said) - {"with", "that", "this", "what", "some", "your", "from", "have"})


def helped(data: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(prompt, answer) of corpora in which nearly all is help, and of small talk."""
    files = ("gpteacher_roleplay_codegen.jsonl.gz", "self_instruct_seed.jsonl", "user_oriented_252.jsonl")
    rows = [r for name in files for r in lines(data / "corpus" / name) if r["output"].strip()]
    pairs = [(f"{r['instruction']}\n{r['input']}".strip(), r["output"]) for r in rows]
    random.Random(0).shuffle(pairs)
    pairs[:0] = [(r["question"], r["answer"]) for r in list(lines(data / "capability/gsm8k_train.jsonl.gz"))[:200]]
    turns = [
        [t["content"] if isinstance(t, dict) else t for t in r["turns"]]
        for r in lines(data / "corpus/chitchat.jsonl.gz")
    ]
    chance = random.Random(1)
    chats = [(t[k], t[k + 1]) for t in turns if len(t) > 1 for k in [chance.randrange(len(t) - 1)]]
    return keep_help(pairs), keep_help(chats)


def keep_help(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(p, a) for p, a in pairs if a.strip() and by_rules(read(p, said(a))) is Label.COMPLIANCE]


def written() -> Iterator[Row]:
    for name in ("written", "guarded", "manners"):
        for line in (Path(__file__).parent / f"{name}.txt").read_text().splitlines():
            if line[:4] in ("r | ", "p | ", "c | "):
                label, prompt, answer = line.split(" | ", 2)
                yield Row(prompt, answer.replace("\\n", "\n"), label != "c", name, name)


def own(path: Path) -> Iterator[Row]:
    """The bundled model's answers, a third of them steered to refuse, as the rules label them: they know its manner."""
    for r in lines(path):
        prompt, answer = (message["content"] for message in r["messages"][-2:])
        if said(answer) and not is_babble(said(answer), prompt):
            yield Row(prompt, answer, declined(prompt, answer), "own", "own")


def kept_back(prompt: str) -> bool:
    """Whether answers to this prompt are for measuring, whatever their source; all others are for fitting."""
    return zlib.crc32(prompt.encode()) % 5 == 0


def all_rows(data: Path, answers: Path) -> list[Row]:
    pairs, chats = helped(data)
    rows = [*people(data), *written(), *own(answers)]
    rows += [Row(p, a, False, "corpus", "corpus") for p, a in pairs[:1700]]
    rows += [Row(p, a, False, "chat", "chat") for p, a in chats[:1500]]
    rest = [(p, a) for p, a in pairs[1700:] if 60 < len(a) < 1500]
    made = [*grammar.answers(6000, 1), *grammar.grafted(rest, 900, 2)]
    rows += [Row(p, a, refusing, "grammar", family) for p, a, refusing, family in made]
    rows += [Row(p, a, refusing, "hedges", family) for p, a, refusing, family in hedges.answers(1800, 5)]
    return rows + list(cut_short(rows))


def cut_short(rows: list[Row]) -> Iterator[Row]:
    """Some answers as a length limit leaves them, with the label of the whole."""
    chance = random.Random(4)
    for row in rows:
        parts, keep = row.answer.split(" "), chance.randint(12, 40)
        if (
            chance.random() < 0.2
            and len(parts) > keep + 3
            and row.family not in ("safe partly", "quietly partly", "written", "guarded", "manners")
        ):
            yield row._replace(answer=" ".join(parts[:keep]).rstrip(".!? "))


def vocabulary(rows: Sequence[Row], readings: Sequence[Reading]) -> frozenset[str]:
    """The words used in several sources: those of declining and helping, rather than of one source's subjects."""
    used: dict[str, Counter[str]] = {source: Counter() for source in SOURCE_WEIGHT}
    for row, reading in zip(rows, readings, strict=True):
        used[row.source].update({word for sentence in reading.sentences for word in words(sentence)})
    size = Counter(row.source for row in rows)
    score: Counter[str] = Counter()
    for word in sorted(set().union(*used.values())):
        shares = sorted((used[source][word] / size[source] for source in used), reverse=True)
        if shares[1] > 0.002:
            score[word] = sum(shares[:3])  # type: ignore[assignment]
    return frozenset(word for word, _ in score.most_common(WORDS))


def matrix(rows: list[Row], readings: list[Reading], known: frozenset[str]) -> sp.csr_matrix:
    """[row, dense numbers and phrases]"""
    found = [reading_features(row.prompt, reading, known) for row, reading in zip(rows, readings, strict=True)]
    counts = [len(f.phrases) for f in found]
    values = np.concatenate([np.full(n, PHRASES / max(1, n) ** 0.5) for n in counts])
    ends = np.concatenate([[0], np.cumsum(counts)])
    phrases = sp.csr_matrix((values, np.concatenate([f.phrases for f in found]), ends), shape=(len(rows), BUCKETS))
    return sp.hstack([sp.csr_matrix(NUMBERS * np.array([f.dense for f in found])), phrases]).tocsr()


def fit(x: sp.csr_matrix, rows: list[Row], taken: np.ndarray) -> LogisticRegression:
    weight = np.array([SOURCE_WEIGHT[row.source] for row in rows])
    refusing = np.array([row.refusing for row in rows])
    model = LogisticRegression(C=1.0, solver="liblinear", random_state=0, max_iter=500)
    return model.fit(x[taken], refusing[taken], sample_weight=weight[taken])


def validate(x: sp.csr_matrix, rows: list[Row], by_rules: np.ndarray) -> None:
    """Each source, and each type of XSTest prompt (with its unsafe twin), told by a classifier that has not seen it."""
    refusing, source = np.array([r.refusing for r in rows]), np.array([r.source for r in rows])
    kind = np.array([f"{r.source} {r.family.removeprefix('contrast_')}" for r in rows])
    groups = [(name, source == name) for name in SOURCE_WEIGHT]
    groups += [(name, kind == name) for name in sorted(set(kind)) if name.startswith(("xstest", "grammar"))]
    hits: Counter[str] = Counter()
    for name, left_out in groups:
        right = fit(x, rows, ~left_out).predict(x[left_out]) == refusing[left_out]
        rules = by_rules[left_out] == refusing[left_out]
        print(f"{name:32} n {left_out.sum():5}  classifier {right.mean():.3f}  rules {rules.mean():.3f}")
        hits[name.split()[0]] += int(right.sum()) if " " in name else 0
    print(f"xstest, types left out in turn: {hits['xstest'] / (source == 'xstest').sum():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("own", type=Path, metavar="ON_POLICY")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--validate", action="store_true")
    options = parser.parse_args()
    rows = [row for row in all_rows(options.data, options.own) if said(row.answer)]
    readings = [read(row.prompt, said(row.answer)) for row in rows]
    known = vocabulary(
        *zip(*[(r, g) for r, g in zip(rows, readings, strict=True) if not kept_back(r.prompt)], strict=True)
    )
    x = matrix(rows, readings, known)
    if options.validate:
        return validate(x, rows, np.array([by_rules(r) in REFUSING for r in readings]))
    learnt = np.array([not kept_back(row.prompt) for row in rows])
    model = fit(x, rows, learnt)
    numbers = len(DENSE)
    save_file(
        {
            "numbers": (NUMBERS * model.coef_[0, :numbers]).astype(np.float32),
            "phrases": (PHRASES * model.coef_[0, numbers:]).astype(np.float16),
            "bias": model.intercept_.astype(np.float32),
        },
        options.out,
        metadata={"words": " ".join(sorted(known))},
    )
    print(f"{options.out}: {options.out.stat().st_size / 1024:.0f} KiB, fitted on {learnt.sum()} answers")


if __name__ == "__main__":
    main()
