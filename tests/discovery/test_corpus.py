"""Training text: every layout is read, rows are cut and shuffled by seed, and wrong files are named."""

import gzip
import json

import pytest

from clampdown.discovery.corpus import ROW_TOKENS, read_rows
from clampdown.errors import ClampdownError

LONG = "The quick brown fox jumps over the lazy dog again and again. "


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def text_of(model, path):
    return "|".join(model.tokenizer.decode(row) for row in read_rows(model, [path], 0))


LAYOUTS = {
    "messages": {"messages": [{"role": "user", "content": "ASK " + LONG}, {"role": "assistant", "content": "TOLD"}]},
    "chosen": {"messages": [{"role": "user", "content": "ASK " + LONG}], "chosen": "TOLD"},
    "turns": {"turns": ["ASK " + LONG, "TOLD", "MORE"]},
    "instruction": {"instruction": "ASK", "input": LONG, "output": "TOLD"},
    "prompt": {"prompt": "ASK " + LONG, "completion": "TOLD"},
    "question": {"question": "ASK " + LONG, "answer": "TOLD"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_chats_go_through_the_template(layout, tiny, tmp_path):
    text = text_of(tiny, jsonl(tmp_path / "a.jsonl", LAYOUTS[layout]))
    assert "<|im_start|>user\nASK" in text and LONG.strip() in text and "<|im_start|>assistant\nTOLD<|im_end|>" in text


def test_plain_text_is_cut_into_rows(tiny, tmp_path):
    (tmp_path / "a.txt").write_text(LONG * 60 + "\n\n" + LONG * 60)
    rows = read_rows(tiny, [tmp_path / "a.txt"], 0)
    assert max(map(len, rows)) == ROW_TOKENS and len(rows) > 4
    assert "<|im_start|>" not in tiny.tokenizer.decode(rows[0])
    text = jsonl(tmp_path / "b.jsonl", {"text": LONG})
    assert read_rows(tiny, [text], 0) == [tiny.ids(LONG)]


def test_packed_and_marked_files_are_read(tiny, tmp_path):
    plain = jsonl(tmp_path / "a.jsonl", {"text": LONG}).read_bytes()
    expected = [tiny.ids(LONG)]
    for name, content in {"b.jsonl.gz": gzip.compress(plain), "c.jsonl": b"\xef\xbb\xbf" + plain}.items():
        (tmp_path / name).write_bytes(content)
        assert read_rows(tiny, [tmp_path / name], 0) == expected


def test_tables_are_read_as_tables(tiny, tmp_path):
    expected = [tiny.ids(LONG)]
    (tmp_path / "a.csv").write_text(f'text\n"{LONG}"\n')
    (tmp_path / "a.json").write_text(json.dumps([{"text": LONG}], indent=1))
    for name in ("a.csv", "a.json"):
        assert read_rows(tiny, [tmp_path / name], 0) == expected


def test_rows_are_shuffled_by_seed_and_limited(tiny, tmp_path):
    path = jsonl(tmp_path / "a.jsonl", *({"text": f"{n} {LONG}"} for n in range(50)))
    rows = read_rows(tiny, [path], 1)
    assert rows == read_rows(tiny, [path], 1) != read_rows(tiny, [path], 2)
    assert sorted(rows) == sorted(read_rows(tiny, [path], 2))
    some = read_rows(tiny, [path], 1, 100)
    assert some == rows[: len(some)] and 100 <= sum(map(len, some)) < 100 + max(map(len, some))


BAD = {
    "empty": ("a.jsonl", b"", "no text"),
    "blank": ("a.txt", b" \n", "no text"),
    "short": ("a.txt", b"Hello", "8 tokens"),
    "not JSON": ("a.jsonl", b'{"text": "x"}\n{"text"', "line 2"),
    "deep": ("a.jsonl", b"[" * 100_000, "line 1"),
    "a list": ("a.jsonl", b"[1]", "line 1"),
    "unknown": ("a.jsonl", b'{"body": "x"}', "line 1"),
    "text is a number": ("a.jsonl", b'{"text": 3}', "line 1"),
    "prompt is a list": ("a.jsonl", b'{"prompt": ["x"]}', "line 1"),
    "prompt is null": ("a.jsonl", b'{"prompt": null, "input": "x"}', "line 1"),
    "no role": ("a.jsonl", b'{"messages": [{"content": "x"}]}', "line 1"),
    "no messages": ("a.jsonl", b'{"messages": []}', "line 1"),
    "messages is a text": ("a.jsonl", b'{"messages": "x"}', "line 1"),
    "null content": ("a.jsonl", b'{"messages": [{"role": "user", "content": null}]}', "line 1"),
    "chosen is a list": ("a.jsonl", b'{"messages": [{"role": "user", "content": "x"}], "chosen": [1]}', "line 1"),
    "turns of numbers": ("a.jsonl", b'{"turns": [1, 2]}', "line 1"),
    "turns is a number": ("a.jsonl", b'{"turns": 1}', "line 1"),
    "half a pair": ("a.jsonl", rb'{"text": "\ud800 and so on and on and on and on"}', "line 1"),
    "not UTF-8": ("a.txt", b"caf\xe9", "a.txt"),
    "not UTF-8 on a line": ("a.jsonl", b'{"text": "x"}\n{"text": "caf\xe9"}\n', "line 2 is not UTF-8"),
    "UTF-16": ("a.jsonl", '{"text": "x"}\n'.encode("utf-16"), "UTF-16"),
    "a comma without quotes": ("a.csv", b"text\nOne, two\n", "line 2"),
    "not gzip": ("a.jsonl.gz", b"plain", "a.jsonl.gz"),
    "cut gzip": ("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n' * 99)[:-12], "a.jsonl.gz"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_gives_one_line(case, tiny, tmp_path, one_line):
    name, content, word = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClampdownError) as caught:
        read_rows(tiny, [tmp_path / name], 0)
    one_line(caught, name, word)


def test_a_missing_file_gives_one_line(tiny, tmp_path, one_line):
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(ClampdownError) as caught:
            read_rows(tiny, [path], 0)
        one_line(caught, str(path))
