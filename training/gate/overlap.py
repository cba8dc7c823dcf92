"""Which items come too near a text of another set, or one another: `python overlap.py PATH... [--remove]`.

PATH is a file or a folder of sets that only report (.jsonl, .jsonl.gz, .json, .csv, .txt). Their texts are read by this
program and never printed: a line shows our own item, its two scores and the file's name. Run it after the grammars,
which write their files anew. Two measures, either of which is enough:

- words: the share of an item's word 5-grams that one set holds. Only 5-grams with three or more words that are rare
  among all texts count, so `how do i make a` is nobody's.
- letters: the cosine of letter 4-grams within words, weighed by rarity (TF-IDF), with the nearest text of a set.

Among the items themselves only those of one label are compared, for contrasts are near by design, and not two made
around one passage or wrapper (both of more than forty words, or of one `template`), nor odd spellings and what got past
a gate, which are other items' words on purpose; the later one goes.
The same words under both labels are an error.
"""

import argparse
import csv
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

ITEMS = Path(__file__).parents[2] / "src/clampdown/discovery/gates/items"
WORDS_LIMIT, LETTERS_LIMIT, OURS_LIMIT = 0.5, 0.65, 0.75
GRAM, RARE_IN_GRAM, LETTERS = 5, 3, 4
RESPELT = ("attacked", "spellings")  # made of other items' words
PASSAGE = 40  # words; items longer than this were made around a passage
RARE, RARE_SHARE = 3, 0.01  # a word is rare in so many texts, or such a share of them
Gram = tuple[str, ...]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower().replace("'", "").replace("’", ""))


def letters(text: str) -> list[str]:
    """The text's letter 4-grams within words, their edges marked by a blank."""
    marked = (f" {word} " for word in words(text))
    return [word[i : i + LETTERS] for word in marked for i in range(max(1, len(word) - LETTERS + 1))]


def strings(value: Any) -> Iterator[str]:
    """Every string in a row, however deep, that is more than a label."""
    if isinstance(value, str):
        if len(words(value)) >= 3:
            yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def texts_of(path: Path) -> list[str]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        kind = path.name.removesuffix(".gz").rpartition(".")[2]
        if kind == "jsonl":
            rows: Any = [json.loads(line) for line in file if line.strip()]
        else:
            rows = json.load(file) if kind == "json" else list(csv.reader(file) if kind == "csv" else file)
    return list(dict.fromkeys(strings(rows)))


def sets(paths: list[Path]) -> Iterator[tuple[str, list[str]]]:
    suffixes = (".jsonl", ".jsonl.gz", ".json", ".csv", ".txt")
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.name.endswith(suffixes)) if path.is_dir() else [path]
        for file in files:
            yield file.name, texts_of(file)


def said(row: dict[str, Any]) -> str:
    """What the user says in an item, all turns."""
    if "messages" not in row:
        return whole(row)
    return "\n".join(turn["content"] for turn in row["messages"] if turn["role"] == "user")


def whole(row: dict[str, Any]) -> str:
    """All that the model is given: with the system's and its own turns, where there are any."""
    said = row.get("text") or row.get("raw")
    return str(said or "\n".join(turn["content"] for turn in row["messages"]))


class Nearness:
    """Both measures, with rarity counted over all texts at hand."""

    def __init__(self, texts: list[str]) -> None:
        counts = Counter(word for text in texts for word in set(words(text)))
        self.common = {word for word, n in counts.items() if n > max(RARE, RARE_SHARE * len(texts))}
        held = Counter(gram for text in texts for gram in set(letters(text)))
        self.column = {gram: i for i, gram in enumerate(held)}
        self.weight = np.log((1 + len(texts)) / (1 + np.array(list(held.values())))) + 1

    def grams(self, text: str) -> set[Gram]:
        found = words(text)
        grams = (tuple(found[i : i + GRAM]) for i in range(len(found) - GRAM + 1))
        return {gram for gram in grams if sum(word not in self.common for word in gram) >= RARE_IN_GRAM}

    def shares(self, ours: list[str], theirs: list[str]) -> np.ndarray:
        """[ours]: the share of each text's counting 5-grams that any of theirs holds."""
        held = set().union(*map(self.grams, theirs))
        return np.array([len(g & held) / len(g) if g else 0.0 for g in map(self.grams, ours)])

    def cosines(self, ours: list[str], theirs: list[str]) -> csr_matrix:
        """[ours, theirs]."""
        return csr_matrix(self.rows(ours) @ self.rows(theirs).T)

    def rows(self, texts: list[str]) -> csr_matrix:
        """[text, letters]: each 4-gram's 1 + log count times its rarity, in rows of length one."""
        counts = [Counter(self.column[gram] for gram in letters(text)) for text in texts]
        columns = np.array([i for row in counts for i in row], dtype=np.int64)
        values = (1 + np.log([n for row in counts for n in row.values()])) * self.weight[columns]
        row = np.repeat(np.arange(len(texts)), [len(row) for row in counts])
        norms = np.sqrt(np.bincount(row, values**2, len(texts)))[row]
        return csr_matrix(((values / norms).astype(np.float32), (row, columns)), (len(texts), len(self.column)))


def near_sets(texts: list[str], named: list[tuple[str, list[str]]], near: Nearness) -> dict[int, str]:
    """Items too near a set, each with its reason."""
    found: dict[int, str] = {}
    for name, theirs in named:
        if theirs:
            shares = near.shares(texts, theirs)
            cosines = near.cosines(texts, theirs).max(axis=1).toarray().ravel()
            for i in np.flatnonzero((shares >= WORDS_LIMIT) | (cosines >= LETTERS_LIMIT)):
                found.setdefault(int(i), f"words {shares[i]:.2f} letters {cosines[i]:.2f} {name}")
    return found


def near_ours(texts: list[str], rows: list[dict[str, Any]], near: Nearness) -> dict[int, str]:
    """Items too near an earlier one of the same label, but for passages, wrappers and odd spellings in common."""
    found: dict[int, str] = {}
    long = [len(words(text)) > PASSAGE for text in texts]
    for i, j, cosine in sorted(zip(*_pairs(near.cosines(texts, texts)), strict=True)):
        shared = (long[i] and long[j]) or ("template" in rows[i] and rows[i]["template"] == rows[j].get("template"))
        shared = shared or bool({rows[i].get("kind"), rows[j].get("kind")} & set(RESPELT))
        if rows[i]["label"] == rows[j]["label"] and not shared and j not in found:
            found.setdefault(i, f"letters {cosine:.2f} ours: {texts[j][:60]!r}")
    return found


def _pairs(cosines: csr_matrix) -> tuple[list[int], list[int], list[float]]:
    every = cosines.tocoo()
    kept = (every.data >= OURS_LIMIT) & (every.row > every.col)
    return every.row[kept].tolist(), every.col[kept].tolist(), every.data[kept].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    parser.add_argument("--remove", action="store_true", help="write the items' files without what was found")
    given = parser.parse_args()

    texts = [(file, file.read_text(encoding="utf-8")) for file in sorted(ITEMS.glob("*.jsonl"))]
    rows = [(file, json.loads(line)) for file, text in texts for line in text.rstrip("\n").split("\n")]
    texts, wholes = [said(row) for _, row in rows], [whole(row) for _, row in rows]
    both: defaultdict[Gram, set[str]] = defaultdict(set)
    for text, (_, row) in zip(wholes, rows, strict=True):
        both[tuple(words(text))].add(row["label"])
    if torn := [" ".join(text) for text, found in both.items() if len(found) > 1]:
        sys.exit(f"the same words under both labels: {torn}")

    named = list(sets(given.paths))
    near = Nearness(wholes + [text for _, theirs in named for text in theirs])
    found = near_ours(wholes, [row for _, row in rows], near) | near_sets(texts, named, near)
    for i, why in sorted(found.items()):
        print(f"{rows[i][0].stem}: {texts[i]!r} ({why})")
    print(f"{len(found)} of {len(rows)} items too near")
    if given.remove:
        for file in {file for file, _ in rows}:
            kept = [row for i, (its, row) in enumerate(rows) if its == file and i not in found]
            file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")


if __name__ == "__main__":
    main()
