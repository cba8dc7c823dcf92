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


def test_the_kinds_have_their_shares_everywhere_in_the_file(mix, tmp_path, tiny, capsys):
    sources = write_text(tmp_path)
    rows, facts = mix(*(word for kind, path in sources.items() for word in (f"--{kind}", path)))
    assert len(rows) == facts["rows"] == 100 and facts["tokens"] == 100 * ROW
    assert {kind: told["rows"] for kind, told in facts["kinds"].items()} == {"web": 86, "chat": 10, "safety": 4}
    texts = tiny.tokenizer.batch_decode(rows)
    half = ["it takes" in text or "where it rains" in text for text in texts]
    assert abs(sum(half[:50]) - sum(half[50:])) <= 2
    assert facts["kinds"]["web"]["read_again"] > 0 and "web: the sources are used up" in capsys.readouterr().err


def test_documents_go_through_the_chat_template_and_nothing_between_rows_is_lost(mix, tmp_path, tiny):
    pages = [f"Page {n} about the sea." for n in range(40)]
    rows, _ = mix("--web", jsonl(tmp_path / "web.jsonl", [{"text": page} for page in pages]), tokens=ROW * 12)
    want = "".join(tiny.render([{"role": "user", "content": page}], answer=False) for page in pages)
    assert rows.flatten().tolist() == tiny.ids(want)[: rows.size]


def test_a_source_without_text_is_one_line(mix, tmp_path, one_line):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(ClampdownError) as caught:
        mix("--chat", empty)
    one_line(caught, "--chat", "empty.jsonl")
    assert not (tmp_path / "mix" / "mix.json").exists() and not (tmp_path / "mix" / "rows.bin").exists()
