"""The mix that SAEs are trained on."""

import json
import sys

import numpy as np
import pytest
from paper import jsonl, script, write_text

from clampdown.errors import ClampdownError

ROW = 32


@pytest.fixture
def mix(tiny, tmp_path, monkeypatch):
    """Run mix.py on the tiny model's tokenizer: the rows, the facts, and where they lie."""
    module = script("mix")

    def run(*arguments, tokens=ROW * 100):
        out = tmp_path / "mix"
        given = [str(tiny.folder), str(out), "--tokens", str(tokens), "--row", str(ROW), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", ["mix.py", *given])
        module.main()
        facts = json.loads((out / "mix.json").read_text())
        return np.fromfile(out / "rows.bin", dtype="<u4").reshape(-1, ROW), facts

    return run


def test_texts_come_by_the_papers_shares_everywhere_in_the_file(mix, tmp_path, tiny, capsys):
    sources = write_text(tmp_path)
    rows, facts = mix(*(word for kind, path in sources.items() for word in (f"--{kind}", path)), tokens=ROW * 400)
    assert len(rows) == facts["rows"] == 400 and facts["tokens"] == 400 * ROW
    module = script("mix")
    assert sum(module.SHARES.values()) == pytest.approx(100)
    total = sum(told["texts"] for told in facts["kinds"].values())
    for kind, told in facts["kinds"].items():
        assert told["texts"] == pytest.approx(total * module.SHARES[kind] / 100, abs=1)
    assert 0 <= sum(told["tokens"] for told in facts["kinds"].values()) - 400 * ROW < 200
    said = "".join(tiny.tokenizer.batch_decode(rows))
    halves = [part.count("where it rains") for part in (said[: len(said) // 2], said[len(said) // 2 :])]
    assert sum(halves) > 50 and abs(halves[0] - halves[1]) <= 3
    assert facts["kinds"]["fineweb"]["read_again"] > 0 and "fineweb: the sources are used up" in capsys.readouterr().err


@pytest.mark.parametrize("row, want", [
    ({"prompt": "- one\n- two", "generation": "three"}, "three"),
    ({"vanilla": "plain", "adversarial": "", "completion": "no"}, [("user", "plain"), ("assistant", "no")]),
    ({"vanilla": "plain", "adversarial": "dressed", "completion": "no"}, [("user", "dressed"), ("assistant", "no")]),
    ({"conversation": [{"role": "user", "content": "a", "toxic": False}]}, [("user", "a")]),
    ({"prompt": "a", "response": None, "prompt_harm_label": "harmful"}, [("user", "a")]),
])  # fmt: skip
def test_rows_of_the_papers_sources_are_read(row, want):
    module = script("mix")
    read = module.row_document(module._layout(row), "hub, row 1")
    assert read == want if isinstance(want, str) else [(m["role"], m["content"]) for m in read] == want


def test_documents_go_through_the_chat_template_and_nothing_between_rows_is_lost(mix, tmp_path, tiny):
    pages = [f"Page {n} about the sea." for n in range(40)]
    rows, _ = mix("--fineweb", jsonl(tmp_path / "web.jsonl", [{"text": page} for page in pages]), tokens=ROW * 12)
    want = "".join(tiny.render([{"role": "user", "content": page}], answer=False) for page in pages)
    assert rows.flatten().tolist() == tiny.ids(want)[: rows.size]


def test_a_source_without_text_is_one_line(mix, tmp_path, one_line):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(ClampdownError) as caught:
        mix("--wildchat", empty)
    one_line(caught, "--wildchat", "empty.jsonl")
    assert not (tmp_path / "mix" / "mix.json").exists() and not (tmp_path / "mix" / "rows.bin").exists()
