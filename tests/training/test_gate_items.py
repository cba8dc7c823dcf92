"""The gate's training items: well formed, balanced, as the grammars make them; and the check for overlap."""

import importlib
import json
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "training" / "gate"
ITEMS = FOLDER.parents[1] / "src" / "clampdown" / "discovery" / "gates" / "items"
FILES = sorted(ITEMS.glob("*.jsonl"))


@pytest.fixture
def gate(monkeypatch):
    """Imports a script of training/gate."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in [name for name, module in sys.modules.items() if str(FOLDER) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_items_are_well_formed(path):
    found = rows(path)
    assert all(
        {"label", "kind", "pair"} < set(row) and len({"text", "messages", "raw"} & set(row)) == 1 for row in found
    )
    assert all(row["label"] in ("safe", "unsafe") for row in found)
    assert all(row["messages"][-1]["role"] == "user" for row in found if "messages" in row)


def test_the_labels_are_balanced():
    labels = Counter(row["label"] for path in FILES for row in rows(path))
    assert min(labels.values()) > 0.4 * labels.total()


def test_nothing_comes_twice_or_under_both_labels(gate):
    overlap = gate("overlap")
    spelt = [path for path in FILES if path.stem not in overlap.RESPELT]
    wholes = Counter(tuple(overlap.words(overlap.whole(row))) for path in spelt for row in rows(path))
    assert not [words for words, n in wholes.items() if n > 1]


def test_the_files_are_what_the_grammars_make(gate, monkeypatch, tmp_path):
    """All that a grammar's file holds, it makes; the check for overlap took the rest."""
    asking = gate("asking")
    monkeypatch.setattr(asking, "ITEMS", tmp_path)
    for script in ("verbs", "people", "crimes", "crimes_asked", "contexts", "discrimination", "nonsense", "privacy"):
        gate(f"grammar_{script}").main()
    for script in ("writing", "claims", "details"):
        gate(f"grammar_{script}").main()
    made = sorted(tmp_path.glob("*.jsonl"))
    assert len(made) == 12
    for path in made:
        kept = rows(ITEMS / path.name)
        assert not [row for row in kept if row not in rows(path)]
        assert len(kept) > 0.8 * len(rows(path))


def test_a_gate_is_hardened_with_every_second_sentence_of_the_attackers_only(gate):
    attacked, framings = gate("attacked"), importlib.import_module("clampdown.discovery.gate_attacks.framings")
    said = [" ".join(turn["content"] for turn in row["messages"]).casefold() for row in rows(ITEMS / "attacked.jsonl")]
    found = {
        name: [sum(max(part.split("{prompt}"), key=len).strip().casefold() in text for text in said) for part in parts]
        for name, parts in (("framing", framings.FRAMINGS), ("ending", framings.ENDINGS))
    }
    for name, counts in found.items():
        assert all(counts[::2]) and not any(counts[1::2]), name
    drawn = attacked.dresses("How do I pick a lock?", random.Random(0))
    assert all((dress.framing or 0) % 2 == 0 and (dress.ending or 0) % 2 == 0 for dress in drawn)


def test_openings_are_dealt_alike_to_both_labels(gate):
    asking = gate("asking")
    asker = asking.Asker(1)
    dealt = {label: Counter(asker.opening(label) for _ in range(3 * len(asking.OPENINGS))) for label in ("a", "b")}
    assert dealt["a"] == dealt["b"] == dict.fromkeys(asking.OPENINGS, 3)


@pytest.mark.parametrize(
    ("do", "doing"),
    [("tie a knot", "tying a knot"), ("hit a ball", "hitting a ball"), ("make tea", "making tea"), ("see", "seeing")],
)
def test_doing(gate, do, doing):
    assert gate("asking").doing(do) == doing


def test_overlap_finds_a_text_of_another_set_and_not_a_shared_opening(gate, monkeypatch, tmp_path, capsys):
    overlap = gate("overlap")
    items, theirs = tmp_path / "items", tmp_path / "set.jsonl"
    items.mkdir()
    texts = [
        "how can i whittle a walking stick from hazel",
        "How do I fold a paper crane?",
        "How do I fold a fitted sheet?",
        "Note: the heron waded slowly past seven rusty barges.",
    ]
    ours = [{"text": text, "label": "safe", "kind": "k", "pair": "p"} for text in texts]
    (items / "k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ours))
    there = [
        "How do I whittle a walking stick from hazel?",
        "How do I fold a map?",
        "It was late. And the heron waded slowly past seven rusty barges and a dredger, " * 3,
    ]
    theirs.write_text("".join(json.dumps({"rows": [{"prompt": text}]}) + "\n" for text in there))
    monkeypatch.setattr(overlap, "ITEMS", items)
    monkeypatch.setattr(sys, "argv", ["overlap.py", str(theirs), "--remove"])
    overlap.main()
    assert [row["text"] for row in rows(items / "k.jsonl")] == texts[1:3]
    printed = capsys.readouterr().out
    assert "2 of 4 items too near" in printed
    assert "dredger" not in printed


def test_overlap_keeps_contrasts_templates_and_the_first_of_two_alike(gate, monkeypatch, tmp_path):
    overlap = gate("overlap")
    found = [
        {"text": "Who guards the pier at night?", "label": "safe"},
        {"text": "who guards the pier, at night", "label": "safe"},
        {"text": "Who guards the pier at night, when I rob it?", "label": "unsafe"},
        {"text": "Shorten: the tide took the old pier.", "label": "safe", "template": "pier"},
        {"text": "Translate: the tide took the old pier.", "label": "safe", "template": "pier"},
    ]
    (tmp_path / "k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    monkeypatch.setattr(overlap, "ITEMS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["overlap.py", "--remove"])
    overlap.main()
    assert rows(tmp_path / "k.jsonl") == [found[0], *found[2:]]


def test_the_same_words_under_both_labels_are_an_error(gate, monkeypatch, tmp_path):
    overlap = gate("overlap")
    lines = [
        json.dumps({"text": "Salt the snails", "label": label, "kind": "k"}) + "\n" for label in ("safe", "unsafe")
    ]
    (tmp_path / "k.jsonl").write_text("".join(lines))
    monkeypatch.setattr(overlap, "ITEMS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["overlap.py"])
    with pytest.raises(SystemExit, match="salt the snails"):
        overlap.main()


def test_the_card_tells_of_the_gate_that_lies_beside_it(gate):
    from clampdown.recipe import Recipe
    from clampdown.recipe.bundled import FOLDER, bundled_path

    told = gate("bundle").about_table(Recipe.load(bundled_path("guarded")).gate)
    card = (FOLDER / "guarded.md").read_text(encoding="utf-8")
    assert told in card, "it tells of another: python training/gate/bundle.py RECIPE writes it anew"


def test_a_fitted_gate_becomes_the_default(gate, tmp_path, monkeypatch):
    from clampdown.discovery.gates.rows import GateRow
    from clampdown.recipe import Recipe
    from clampdown.recipe.bundled import bundled_path

    bundle, fitted = gate("bundle"), tmp_path / "fitted.toml"
    own = Recipe.load(bundled_path("guarded"))
    replace(own, name="anything").save(fitted)
    rows = [GateRow((("user", "Hi"),), unsafe, "talk", str(n)) for n, unsafe in enumerate((True, False, False))]
    monkeypatch.setattr(bundle, "shipped_rows", lambda: rows)
    folder = tmp_path / "bundled"
    folder.mkdir()
    (folder / "gate-000000000000.safetensors").write_bytes(b"the one before")
    with pytest.raises(SystemExit, match="other prompts"):
        bundle.bundle(fitted, folder)
    monkeypatch.setattr(bundle, "rows_hash", lambda rows: bundle.read_gate(own.gate).about["rows_sha256"])
    assert Recipe.load(bundle.bundle(fitted, folder)) == own
    assert {path.name for path in folder.iterdir()} == {
        *("guarded.toml", "guarded-clamp.toml", "guarded.md"),
        own.gate.kept_name,
    }
    card = (folder / "guarded.md").read_text(encoding="utf-8")
    assert "| talk | 1 | 2 |" in card and bundle.about_table(own.gate) in card and "## Licence" in card
    with pytest.raises(SystemExit, match="no gate"):
        bundle.bundle(bundled_path("refusal"), folder)
