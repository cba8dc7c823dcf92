"""Prompt sets from files: what is read, how it is split, and what is refused."""

import gzip
import json

import pytest

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import BUILTIN, builtin_set, cluster_half, load_set


def jsonl(path, rows, **options):
    path.write_text("".join(json.dumps(row, **options) + "\n" for row in rows), encoding="utf-8")
    return path


def prompts(loaded):
    return [item.text for item in loaded.items]


@pytest.mark.parametrize("kind", BUILTIN)
def test_built_in_sets_split_into_disjoint_halves(kind):
    whole = builtin_set(kind)
    halves = {which: whole.half(which) for which in ("select", "report")}
    ids = {which: {item.id for item in half.items} for which, half in halves.items()}
    assert not ids["select"] & ids["report"]
    assert len(ids["select"]) + len(ids["report"]) == len(whole.items) == len({item.id for item in whole.items})
    clusters = {which: {item.cluster for item in half.items} for which, half in halves.items()}
    assert not clusters["select"] & clusters["report"]
    assert min(map(len, ids.values())) > 0.3 * len(whole.items)
    assert halves["select"].split == "select"


def test_clusters_stay_together(tmp_path):
    rows = [{"prompt": f"p{i}", "cluster": f"c{i % 7}"} for i in range(70)]
    loaded = load_set("unsafe", jsonl(tmp_path / "a.jsonl", rows))
    for which in ("select", "report"):
        half = loaded.half(which)
        assert {item.cluster for item in half.items} == {f"c{i}" for i in range(7) if cluster_half(f"c{i}") == which}
        assert len(half.items) % 10 == 0
    assert cluster_half("c0") == cluster_half("c0")
    # Pinned: another hash would let what was selected on be reported on.
    assert [cluster_half(f"c{i}") for i in range(7)] == PINNED


PINNED = ["select", "select", "select", "select", "select", "select", "report"]


def test_a_set_too_small_to_split_says_so(tmp_path, one_line):
    loaded = load_set("safe", jsonl(tmp_path / "a.jsonl", [{"prompt": "one"}]))
    with pytest.raises(ClampdownError) as caught:
        [loaded.half(which) for which in ("select", "report")]
    one_line(caught, "too small")


def test_a_sample_is_seeded_and_in_order(tmp_path):
    loaded = load_set("safe", jsonl(tmp_path / "a.jsonl", [{"prompt": f"{i:03d}"} for i in range(100)]))
    some = loaded.sample(10, 3)
    assert prompts(some) == prompts(loaded.sample(10, 3)) == sorted(prompts(some)) and len(some.items) == 10
    assert prompts(loaded.sample(10, 4)) != prompts(some)
    assert loaded.sample(None, 0) is loaded.sample(100, 0) is loaded
    with pytest.raises(ClampdownError, match="at least 1"):
        loaded.sample(0, 0)


def test_every_layout_is_read(tmp_path):
    expected = ["How?", "Why, then?"]
    jsonl(tmp_path / "a.jsonl", [{"prompt": p, "category": "c"} for p in expected])
    (tmp_path / "b.csv").write_text('id,prompt\n1,How?\n2,"Why, then?"\n')
    (tmp_path / "c.txt").write_text("How?\r\n\r\n  Why, then?  \n")
    (tmp_path / "d.CSV").write_text('prompt\r\nHow?\r\n"Why, then?"\r\n')
    for path in sorted(tmp_path.iterdir()):
        assert prompts(load_set("unsafe", path)) == expected
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        loaded = load_set("unsafe", packed)
        assert prompts(loaded) == expected and loaded.name == path.stem
        marked = path.with_name("marked-" + path.name)
        marked.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert prompts(load_set("unsafe", marked)) == expected
    assert load_set("unsafe", tmp_path / "a.jsonl").items[0].category == "c"


def test_lists_and_tables_of_other_makers_are_read(tmp_path):
    expected = ["How?", "Why,\tthen?"]
    (tmp_path / "a.json").write_text(json.dumps([{"prompt": p} for p in expected], indent=1))
    (tmp_path / "b.json").write_text(json.dumps(expected))
    (tmp_path / "c.tsv").write_text('id\tprompt\n1\tHow?\n2\t"Why,\tthen?"\n')
    for path in tmp_path.iterdir():
        assert prompts(load_set("safe", path)) == expected


def test_parquet_is_read_where_pyarrow_is(tmp_path, one_line):
    path = tmp_path / "a.parquet"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(ClampdownError) as caught:
            load_set("safe", path)
        one_line(caught, "pip install pyarrow")
        return
    parquet.write_table(pyarrow.Table.from_pylist([{"prompt": "How?"}, {"prompt": "Why?"}]), path)
    assert prompts(load_set("safe", path)) == ["How?", "Why?"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ClampdownError) as caught:
        load_set("safe", path)
    one_line(caught, "not readable Parquet")


def test_rows_of_one_text_are_one_cluster_in_every_set(tmp_path):
    rows = [{"prompt": "Say  it"}, {"prompt": "say it\n"}, {"prompt": "say that"}, {"prompt": "x", "cluster": "c"}]
    a, b, c, d = (item.cluster for item in load_set("unsafe", jsonl(tmp_path / "a.jsonl", rows)).items)
    assert a == b != c and d == "c"
    assert load_set("safe", jsonl(tmp_path / "b.jsonl", rows[1:])).items[0].cluster == a
    # Pinned, as the halves follow from it.
    assert a == "text:a7d99b4ca0e6d75c"


def test_line_ends_inside_a_prompt_do_not_cut_it(tmp_path):
    odd = ["a\u2028b", "c\x85d", "e\nf", "g\x0ch"]
    path = jsonl(tmp_path / "a.jsonl", [{"prompt": p} for p in odd], ensure_ascii=False)
    assert prompts(load_set("safe", path)) == odd
    (tmp_path / "b.csv").write_text('prompt\n"e\nf"\n"a\u2028b"\n', encoding="utf-8")
    assert prompts(load_set("safe", tmp_path / "b.csv")) == ["e\nf", "a\u2028b"]


def test_labels_choose_the_rows(tmp_path):
    rows = [{"prompt": "s", "label": "safe"}, {"prompt": "u", "label": "unsafe"}, {"prompt": "n"}]
    path = jsonl(tmp_path / "a.jsonl", rows)
    assert prompts(load_set("unsafe", path)) == ["u", "n"]
    assert prompts(load_set("safe", path)) == ["s", "n"]
    assert prompts(load_set("lookalike", path)) == ["s", "n"]
    only = jsonl(tmp_path / "b.jsonl", rows[:1])
    with pytest.raises(ClampdownError, match="no unsafe item"):
        load_set("unsafe", only)


def test_labels_are_known_in_any_case_and_others_are_refused_by_line(tmp_path, one_line):
    (tmp_path / "a.csv").write_text("prompt,label\nu1,Unsafe\ns1,SAFE\nu2, harmful \ns2,Benign\ns3,un harmful\n")
    with pytest.raises(ClampdownError, match="line 6, row 5 has the label 'un harmful'"):
        load_set("unsafe", tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("prompt,label\nu1,Unsafe\ns1,SAFE\nu2, harmful \ns2,Benign\ns3,harmless\n")
    assert prompts(load_set("unsafe", tmp_path / "a.csv")) == ["u1", "u2"]
    assert prompts(load_set("safe", tmp_path / "a.csv")) == ["s1", "s2", "s3"]
    for label in (1, 0, True, "yes", "", None, "weapons", ["unsafe"]):
        path = jsonl(tmp_path / "b.jsonl", [{"prompt": "x", "label": "safe"}, {"prompt": "y", "label": label}])
        for kind in ("unsafe", "safe"):
            with pytest.raises(ClampdownError) as caught:
                load_set(kind, path)
            one_line(caught, "line 2", f"label {label!r}", "unsafe or harmful", "safe or benign")
    # What a passage or a question is labelled with is another matter.
    path = jsonl(tmp_path / "c.jsonl", [{"text": "t", "label": 3}])
    assert prompts(load_set("text", path)) == ["t"]


def test_a_plain_text_is_a_prompt_a_line_and_no_table(tmp_path, one_line):
    (tmp_path / "mac.txt").write_bytes(b"How?\rWhy?\r")
    (tmp_path / "odd.txt").write_bytes(b"Ho\rw?\nWhy?\n")
    assert prompts(load_set("safe", tmp_path / "mac.txt")) == ["How?", "Why?"]
    assert prompts(load_set("safe", tmp_path / "odd.txt")) == ["Ho\rw?", "Why?"]
    for text, end in {'{"prompt": "How?"}\n': ".jsonl", "id,Prompt\n1,How?\n": ".csv", "id\tprompt\n": ".tsv"}.items():
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(ClampdownError) as caught:
            load_set("safe", tmp_path / "a.txt")
        one_line(caught, "a.txt", end)


def test_a_missing_column_is_told_beside_those_that_are_there(tmp_path, one_line):
    for text in ("ID,Prompt,Category\n1,How?,c\n", "ID,text,Category\n1,How?,c\n"):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(ClampdownError) as caught:
            load_set("unsafe", tmp_path / "a.csv")
        one_line(caught, "line 2", "'prompt'" if "Prompt" in text else "'id'", "columns found: 'ID'", "'Category'")


def test_questions_and_passages(tmp_path):
    rows = [
        {"question": "2+2?", "choices": ["3", "4"], "answer": 1, "subject": "sums"},
        {"question": "3+3?", "choices": [6, 7, 8], "answer": "a"},
    ]
    loaded = load_set("capability", jsonl(tmp_path / "q.jsonl", rows))
    assert [(i.choices, i.answer, i.category) for i in loaded.items] == [
        (("3", "4"), 1, "sums"),
        (("6", "7", "8"), 0, ""),
    ]
    worded = load_set("capability", jsonl(tmp_path / "w.jsonl", [{"question": "2+2?", "target": " 4 "}]))
    assert (worded.items[0].choices, worded.items[0].target) == ((), "4")
    (tmp_path / "t.txt").write_text("x" * 1500 + " " * 2000 + "end")
    passages = prompts(load_set("text", tmp_path / "t.txt"))
    assert [p.strip() for p in passages] == ["x" * 1000, "x" * 500, "end"]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2690\n"
ROW = {"question": "q", "choices": ["a", "b"], "answer": 0}
BAD = {
    "empty": ("safe", "a.jsonl", b"", "is empty"),
    "only a mark": ("safe", "a.jsonl", b"\xef\xbb\xbf", "is empty"),
    "empty csv": ("safe", "a.csv", b"", "is empty"),
    "header only": ("safe", "a.csv", b"prompt\n", "at least one"),
    "blank text": ("safe", "a.txt", b"\n \n", "is empty"),
    "a web page": ("safe", "a.txt", b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "web page"),
    "a pointer": ("safe", "a.jsonl", POINTER, "git lfs pull"),
    "wrong column": ("safe", "a.jsonl", b'{"text": "x"}', "row 1"),
    "wrong csv column": ("safe", "a.csv", b"text\nx\n", "'prompt'"),
    "second row": ("safe", "a.jsonl", b'{"prompt": "x"}\n{"prompt": 3}', "row 2"),
    "blank prompt": ("safe", "a.jsonl", b'{"prompt": "  "}', "row 1"),
    "not JSON": ("safe", "a.jsonl", b'{"prompt": "x"}\n\n{"prompt"', "line 3"),
    "a list": ("safe", "a.jsonl", b'["x"]', "line 1"),
    "deep": ("safe", "a.jsonl", b"[" * 100_000, "line 1"),
    "half a pair": ("safe", "a.jsonl", rb'{"prompt": "\ud800"}', "line 1"),
    "half a list": ("safe", "a.json", b'["x", ', "a.json"),
    "a list of numbers": ("safe", "a.json", b"[1]", "row 1"),
    "a list of blanks": ("safe", "a.json", b'[" "]', "row 1"),
    "no answer in words either": ("capability", "a.jsonl", b'{"question": "q", "target": " "}', "choices"),
    "not UTF-8": ("safe", "a.txt", b"caf\xe9", "a.txt"),
    "not gzip": ("safe", "a.jsonl.gz", b"plain", "a.jsonl.gz"),
    "cut gzip": ("safe", "a.jsonl.gz", gzip.compress(b'{"prompt": "x"}' * 100)[:-12], "a.jsonl.gz"),
    "damaged gzip": ("safe", "a.txt.gz", gzip.compress(b"x" * 99)[:12] + b"\xff" * 30, "a.txt.gz"),
    "questions as text": ("capability", "a.txt", b"q\n", "JSONL"),
    "choices are a text": ("capability", "a.jsonl", json.dumps({**ROW, "choices": "ab"}).encode(), "choices"),
    "one choice": ("capability", "a.jsonl", json.dumps({**ROW, "choices": ["a"]}).encode(), "choices"),
    "empty choice": ("capability", "a.jsonl", json.dumps({**ROW, "choices": ["a", ""]}).encode(), "choices"),
    "answer true": ("capability", "a.jsonl", json.dumps({**ROW, "answer": True}).encode(), "answer"),
    "answer beyond": ("capability", "a.jsonl", json.dumps({**ROW, "answer": 2}).encode(), "answer"),
    "answer negative": ("capability", "a.jsonl", json.dumps({**ROW, "answer": -1}).encode(), "answer"),
    "answer beyond by letter": ("capability", "a.jsonl", json.dumps({**ROW, "answer": "C"}).encode(), "answer"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_gives_one_line(case, tmp_path, one_line):
    kind, name, content, word = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClampdownError) as caught:
        load_set(kind, tmp_path / name)
    one_line(caught, str(tmp_path / name), word)


def test_what_lies_in_a_parquet_files_place_is_told(tmp_path, one_line):
    pytest.importorskip("pyarrow.parquet")
    for content, word in ((POINTER, "git lfs pull"), (b"", "empty"), (b"<html>", "web page"), (b"noise", "Parquet")):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            load_set("safe", tmp_path / "a.parquet")
        one_line(caught, "a.parquet", word)


def test_a_missing_file_gives_one_line(tmp_path, one_line):
    for path in (tmp_path / "none.jsonl", tmp_path, "~nobody-of-that-name/x"):
        with pytest.raises(ClampdownError) as caught:
            load_set("safe", path)
        one_line(caught, "can't read set")


def test_a_wrong_row_is_named_by_its_place_in_the_file(tmp_path):
    rows = [{"prompt": "u", "label": "unsafe"}, {"prompt": "s"}, {"text": "x"}]
    with pytest.raises(ClampdownError, match="row 3"):
        load_set("safe", jsonl(tmp_path / "a.jsonl", rows))
