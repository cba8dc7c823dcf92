"""Tables of every layout: what was written comes back to the letter, and what is not certain is refused by line."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clampdown.errors import ClampdownError
from clampdown.measuring.sets.tables import check_columns, table_rows

MARKS = st.sampled_from("\"',;\t\r\n |\ufeff")
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), MARKS))
COLUMNS = ["prompt", "category", "note"]
ROWS = st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=6)


def read(text, name="a.csv"):
    data = text if isinstance(text, bytes) else text.encode()
    return [row.cells for row in table_rows(data, Path(name), name)]


def refused(text, name="a.csv"):
    with pytest.raises(ClampdownError) as caught:
        read(text, name)
    said = str(caught.value)
    assert said.count("\n") == 0 and name in said
    return said


def written(rows, columns=COLUMNS, **options):
    out = io.StringIO(newline="")
    table = csv.writer(out, **options)
    table.writerow(columns)
    table.writerows(rows)
    return out.getvalue()


@given(ROWS, st.sampled_from(["\r\n", "\n"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans())
@example([("a\rb", "", "")], "\n", csv.QUOTE_ALL, False)
def test_what_a_csv_writer_wrote_comes_back_to_the_letter(rows, ends, quoting, packed):
    text = written(rows, lineterminator=ends, quoting=quoting)
    data = gzip.compress(text.encode()) if packed else b"\xef\xbb\xbf" + text.encode()
    expected = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    if quoting == csv.QUOTE_ALL or not any("\r" in cell for row in rows for cell in row):
        # Before Python 3.13 the csv module left a carriage return without quotation marks.
        assert read(data, "a.csv.gz" if packed else "a.csv") == expected
    assert read(written(rows, delimiter="\t", quoting=csv.QUOTE_ALL), "a.tsv") == expected


@given(st.lists(st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.lists(TEXT))), min_size=1))
def test_what_was_written_as_json_comes_back(rows):
    for escaped in (True, False):
        lines = "".join(json.dumps(row, ensure_ascii=escaped) + "\n" for row in rows)
        assert read(lines, "a.jsonl") == read(lines.replace("\n", "\r\n"), "a.jsonl") == rows
        assert read(json.dumps(rows, ensure_ascii=escaped, indent=1), "a.json") == rows


@given(ROWS, st.data())
def test_a_damaged_table_is_read_as_its_fields_stand_or_refused(rows, data):
    """Marks put in or taken out anywhere: never a row of another length, never a row more or less than was parsed."""
    text = written(rows)
    at = data.draw(st.integers(0, len(text)))
    text = (
        text[:at]
        + data.draw(st.sampled_from(['"', ",", "\n", ";", "", "\r"]))
        + text[at + data.draw(st.integers(0, 1)) :]
    )
    try:
        found = read(text)
    except ClampdownError:
        return
    plain = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    assert [list(row) for row in found] == [plain[0]] * (len(plain) - 1)
    assert [list(row.values()) for row in found] == plain[1:]


QUIET = {
    "a comma without quotes": ("prompt\nHow do I pick a lock, fast?\n", "line 2, row 1 has 2 fields, but"),
    "a field too many": ("id,prompt\n1,Why?\n\n2,How, then?\n", "line 4, row 2 has 3 fields"),
    "a field too few": ("id,prompt\n1,Why?\n2\n", "line 3, row 2 has 1 field,"),
    "a quote left open": ('prompt\nWhy?\n"How?\nWho?\n', "line 3 is not readable CSV (a quotation mark opens there"),
    "a quote closed by another row's": ('id,prompt\n1,"How?\n2,"Who?"\n', "line 2 is not readable CSV (text follows"),
    "quotes escaped with a backslash": ('prompt\n"Say \\"hi\\""\n', "line 2 is not readable CSV"),
    "semicolons": ('"id";"prompt"\n1;Why, then?\n', "semicolons, not commas (columns found: 'id', 'prompt')"),
    "tabs": ("id\tprompt\n1\tWhy?\n", "end its name in .tsv"),
    "bars": ("id|prompt\n1|Why?\n", "columns found: 'id', 'prompt'"),
    "a column twice": ("prompt,prompt\na,b\n", "line 1: 2 columns are called 'prompt'"),
    "two tables joined": ("id,prompt\n1,Why?\nid,prompt\n2,How?\n", "line 3, row 2 repeats the header"),
    "text in a column without a name": ("prompt,\nPick a lock, fast?\n", "line 2, row 1 has a text in a column"),
    "no row": ("id,prompt\n", "no row below it (columns found: 'id', 'prompt')"),
    "two kinds of line ends": ("prompt\nHow do I\rpick a lock?\n", "line 2 ends in a carriage return"),
}  # fmt: skip


@pytest.mark.parametrize("case", QUIET)
def test_what_other_readers_lose_is_refused_by_line(case):
    text, word = QUIET[case]
    assert word in refused(text)


def test_commas_in_a_tsv_are_told():
    assert "end its name in .csv" in refused("id,prompt\n1,Why?\n", "a.tsv")


def test_odd_but_certain_tables_are_read():
    assert read("prompt\rHow?\rWhy?\r") == [{"prompt": "How?"}, {"prompt": "Why?"}]
    assert read("prompt\r\r\nHow?\r\r\nWhy?\r\r\n") == [{"prompt": "How?"}, {"prompt": "Why?"}]
    assert read('\n\nprompt\n\n""\n"a\n\nb"\n') == [{"prompt": ""}, {"prompt": "a\n\nb"}]
    assert read(",prompt\n0,How?\n1,Why?\n") == [{"": "0", "prompt": "How?"}, {"": "1", "prompt": "Why?"}]
    assert read('prompt\nSay "hi"\n') == [{"prompt": 'Say "hi"'}]
    long = "x" * 300_000
    assert read(f'prompt\n"{long}"\n') == [{"prompt": long}] and csv.field_size_limit() < 300_000


def test_rows_are_called_by_their_lines():
    rows = table_rows(b'id,prompt\n1,"a\nb"\n\n2,c\n', Path("a.csv"), "set a.csv")
    assert [(row.number, row.where) for row in rows] == [
        (1, "set a.csv, line 2, row 1"),
        (2, "set a.csv, line 5, row 2"),
    ]
    rows = table_rows(b'{"a": 1}\n\n{"a": 2}\n', Path("a.jsonl"), "a.jsonl")
    assert rows[1].where == "a.jsonl, line 3, row 2"


@pytest.mark.parametrize(
    "name, text, word",
    [
        ("a.jsonl", '{"prompt": "a"}\n[1]\n', "line 2 is not a JSON object"),
        ("a.jsonl", "[\n1]", "line 1 is not JSON"),
        ("a.jsonl", '[{"prompt": "a"}]', "a name that ends in .json"),
        ("a.jsonl", "7", "line 1 is not a JSON object"),
        ("a.jsonl", '{"prompt": "a"}{"prompt": "b"}', "line 1 is not JSON (Extra data"),
        ("a.jsonl", '{"prompt": "a", "prompt": "b"}', "line 1 is not JSON ('prompt' is there twice)"),
        ("a.json", '[{"prompt": "a", "prompt": "b"}]', "'prompt' is there twice"),
        ("a.json", r'["\ud800"]', "not a JSON list"),
        ("a.json", '{\n"rows": [{"prompt": "a"}]\n}', "one JSON object (columns found: 'rows')"),
        ("a.json", "[1]", "row 1 is not a JSON object"),
        ("a.csv", b"prompt\ncaf\xe9\n", "line 2 is not UTF-8 text"),
        ("a.csv", "prompt\nHow?\n".encode("utf-16"), "UTF-16"),
        ("a.csv.gz", b"prompt\n", "gzip"),
        ("a.csv", gzip.compress(b"prompt\n", mtime=0), "gzip"),
    ],
)
def test_other_files_are_refused(name, text, word):
    assert word in refused(text, name)


def test_a_column_that_is_nearly_a_known_one_is_refused():
    for column in ("Label", " label", "LABEL ", ' "label"', "\ufefflabel", "'label'"):
        rows = table_rows(f"prompt,{column}\nHow?,unsafe\n".encode(), Path("a.csv"), "a.csv")
        with pytest.raises(ClampdownError) as caught:
            check_columns(rows, {"prompt", "label"})
        assert "call" in str(caught.value) and f"'prompt', {column!r}" in str(caught.value)
    rows = table_rows(b"prompt,label,Label\nHow?,unsafe,x\n", Path("a.csv"), "a.csv")
    with pytest.raises(ClampdownError, match="take out 'label' or 'Label'"):
        check_columns(rows, {"label"})
    check_columns(rows, {"prompt"})
