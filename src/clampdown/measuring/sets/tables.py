"""Tables: CSV, TSV, JSONL, JSON and Parquet, of which every row and every field is read, or the file is refused."""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clampdown.errors import ClampdownError, reason
from clampdown.reading import as_text, stand_in, unpacked

LAYOUTS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
"""How the names of tables end, perhaps with .gz behind it."""
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_MEANT = {
    "unexpected end of data": "a quotation mark opens there and is never closed",
    "',' expected after '\"'": "text follows a closing quotation mark",
    "'\t' expected after '\"'": "text follows a closing quotation mark",
}
"""What the csv module's errors mean."""
_AROUND = " \t\r\n\u00a0\ufeff\"'"
"""What may stand around a column's name that means the same: spaces before a quotation mark keep it, for one."""
_SHOWN = 12
_LONG = 40


class TableRow(NamedTuple):
    """A row of a table.

    Attributes:
        cells: what it has, by the names of the columns.
        number: its place among the rows, from 1.
        where: what an error calls it: the file, and the line that the row begins on where it has one.
    """

    cells: dict[str, Any]
    number: int
    where: str


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table."""
    return _layout(path) in LAYOUTS


def table_rows(data: bytes, path: Path, name: str, inside: str = "") -> list[TableRow]:
    """The rows of a table, in the layout that the name of its file says.

    Args:
        data: the file's bytes, packed as the file is.
        name: what the errors call the file.
        inside: the key of the list of rows, in a JSON file that is an object.

    Raises:
        ClampdownError: a row or a field could not be read for certain; it names the line, and a remedy.
    """
    data = unpacked(data, path, name.removesuffix(str(path)).strip())
    layout = _layout(path)
    if layout == ".parquet":
        return _parquet(data, name)
    text = as_text(data, name)
    if layout in (".csv", ".tsv"):
        return _separated(text, name, "\t" if layout == ".tsv" else ",")
    if layout == ".json" and (inside or text.lstrip().startswith("[")):
        return _json(text, name, inside)
    lines = [(number, line) for number, line in enumerate(split_lines(text), 1) if line.strip()]
    if layout == ".json" and len(lines) > 1:
        _check_no_object(text, name)
    return [
        TableRow(json_row(line, name, number), place, at_line(name, number, place))
        for place, (number, line) in enumerate(lines, 1)
    ]


def split_lines(text: str) -> list[str]:
    """A text's lines. They end at a line feed, or in a file without any at a carriage return, as old Macs wrote them.

    U+2028 and its like end none: JSON may hold them as they are.
    """
    return text.split("\n" if "\n" in text else "\r")


def at_line(name: str, line: int, row: int) -> str:
    """What an error calls a row of a file of lines."""
    return f"{name}, line {line}, row {row}"


def json_row(line: str, name: str, number: int) -> dict[str, Any]:
    """The object on one line of a JSONL file; `name` and `number` tell the place in the ClampdownError for none."""
    try:
        row = _parsed(line)
    except (ValueError, RecursionError) as error:
        raise ClampdownError(f"{name}, line {number} is not JSON ({error})") from error
    if not isinstance(row, dict):
        more = "; a file that is one list has a name that ends in .json" if isinstance(row, list) else ""
        raise ClampdownError(f"{name}, line {number} is not a JSON object{more}")
    return row


def columns_found(cells: Mapping[str, Any]) -> str:
    """The names of a row's columns, for an error."""
    names = [repr(name if len(name) <= _LONG else f"{name[:_LONG]}…") for name in list(cells)[:_SHOWN]]
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    return f"columns found: {', '.join(names) or 'none'}{more}"


def check_columns(rows: Iterable[TableRow], known: Collection[str]) -> None:
    """Refuse a column whose name is nearly a known one, such as "Label": it would be left out without a word.

    Raises:
        ClampdownError: there is one; whether a column of the known name stands beside it or not.
    """
    for row in rows:
        meant = {column: column.strip(_AROUND).casefold() for column in row.cells}
        near = {column: name for column, name in meant.items() if name in known and column != name}
        if near:
            told = ", ".join(f"{column!r} {name!r}" for column, name in near.items() if name not in row.cells)
            twice = ", ".join(f"{name!r} or {column!r}" for column, name in near.items() if name in row.cells)
            remedy = f"call {told}, or take it out" if told else f"take out {twice}, which are told by their case alone"
            raise ClampdownError(f"{row.where}: {remedy} ({columns_found(row.cells)})")


def _layout(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _parsed(text: str) -> Any:
    body = json.loads(text, object_pairs_hook=_object)
    if "\\u" in text:
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{twice!r} is there twice")
    return found


def _json(text: str, name: str, inside: str) -> list[TableRow]:
    """The rows of a JSON file that is one list; a row that is a mere text is its prompt."""
    try:
        body = _parsed(text)
        rows = body[inside] if inside else body
        if not isinstance(rows, list):
            raise ValueError(f"found {type(rows).__name__}")
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise ClampdownError(f"{name} is not a JSON list of rows ({error})") from error
    found = []
    for number, row in enumerate(rows, 1):
        cells = {"prompt": row} if isinstance(row, str) else row
        if not isinstance(cells, dict):
            raise ClampdownError(f"{name}, row {number} is not a JSON object")
        found.append(TableRow(cells, number, f"{name}, row {number}"))
    return found


def _check_no_object(text: str, name: str) -> None:
    """Tell a JSON file that is one object over several lines from rows of a line each."""
    try:
        body = _parsed(text)
    except (ValueError, RecursionError):
        return
    found = columns_found(body) if isinstance(body, dict) else f"a {type(body).__name__}"
    raise ClampdownError(f"{name} is one JSON object ({found}), not rows; write them as one list, or one a line")


def _parquet(data: bytes, name: str) -> list[TableRow]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ClampdownError(f"{name} is a Parquet file; to read it: pip install pyarrow") from error
    try:
        table = parquet.read_table(pyarrow.BufferReader(data))
        _check_header(table.column_names, name)
        rows = table.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        if found := stand_in(data[:512]):
            raise ClampdownError(f"can't read {name}: {found}") from error
        raise ClampdownError(f"{name} is not readable Parquet ({reason(error)})") from error
    return [TableRow(row, number, f"{name}, row {number}") for number, row in enumerate(rows, 1)]


def _separated(text: str, name: str, separator: str) -> list[TableRow]:
    """The rows of CSV or TSV: as many fields in each as the header has names, and quotation marks in pairs."""
    _check_separator(text, name, separator)
    records = _records(text, name, separator)
    if not records:
        return []
    (line, header), *body = records
    between, found = _SEPARATORS[separator], columns_found(dict.fromkeys(header))
    _check_header(header, f"{name}, line {line}")
    if not body:
        raise ClampdownError(f"{name} has a header and no row below it ({found}); a file needs at least one")
    rows = []
    for number, (line, fields) in enumerate(body, 1):
        where = at_line(name, line, number)
        _check_fields(fields, header, where, between)
        rows.append(TableRow(dict(zip(header, fields, strict=True)), number, where))
    return rows


def _check_separator(text: str, name: str, separator: str) -> None:
    """Refuse a file whose header another mark separates: all of it would be one column."""
    header = text.lstrip("\r\n").partition("\n")[0].partition("\r")[0]
    mark = next((mark for mark in _SEPARATORS if mark in header), None)
    if mark is None or separator in header:
        return
    found = columns_found(dict.fromkeys(column.strip().strip('"') for column in header.split(mark)))
    end = {",": ".csv", "\t": ".tsv"}.get(mark)
    remedy = f"end its name in {end}" if end else "separate them with commas"
    raise ClampdownError(
        f"{name} has fields separated by {_SEPARATORS[mark]}, not {_SEPARATORS[separator]} ({found}); {remedy}, or "
        "save it as JSONL"
    )


def _check_header(header: Sequence[str], name: str) -> None:
    column, times = Counter(header).most_common(1)[0] if header else ("", 0)
    if times > 1:
        raise ClampdownError(f"{name}: {times} columns are called {column!r}; give each a name of its own")


def _check_fields(fields: Sequence[str], header: Sequence[str], where: str, between: str) -> None:
    if len(fields) != len(header):
        found = columns_found(dict.fromkeys(header))
        quote, fill = f"put quotation marks around texts with {between}", "write every field, the empty ones too"
        remedy = quote if len(fields) > len(header) else fill
        raise ClampdownError(
            f"{where} has {len(fields)} field{'s' * (len(fields) != 1)}, but the header has {len(header)} ({found}); "
            f"{remedy}, or save it as JSONL"
        )
    if list(fields) == list(header):
        raise ClampdownError(f"{where} repeats the header, as where files were joined; take that line out")
    nameless = fields[header.index("")] if "" in header else ""
    if nameless and not nameless.isdigit():  # numbers are the index that data frames write
        raise ClampdownError(f"{where} has a text in a column without a name; give the column one, or take it out")


def _records(text: str, name: str, separator: str) -> list[tuple[int, list[str]]]:
    """The records that are no blank lines, each with the line that it begins on."""
    last = ""

    def lines() -> Iterator[str]:
        nonlocal last
        for line in io.StringIO(text, newline=""):
            last = line
            yield line

    records: list[tuple[int, list[str]]] = []
    bare: list[int] = []
    feeds = 0
    reader = csv.reader(lines(), delimiter=separator, strict=True)
    usual = csv.field_size_limit()
    csv.field_size_limit(max(usual, len(text)))  # answers are longer than fields commonly are
    try:
        begins = 1
        for fields in reader:
            records += [(begins, fields)] if fields else []
            if last.endswith("\r"):
                bare.append(reader.line_num)
            else:
                feeds += 1
                if not fields and bare[-1:] == [begins - 1]:
                    bare.pop()  # line ends that Windows made twice: \r\r\n
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ClampdownError(
            f"{name}, line {begins} is not readable CSV ({_MEANT.get(str(error), error)}); write a quotation mark "
            "within a quoted text twice, or save it as JSONL"
        ) from error
    finally:
        csv.field_size_limit(usual)
    if bare and feeds:
        raise ClampdownError(
            f"{name}, line {bare[0]} ends in a carriage return, other lines in a line feed; put quotation marks around "
            "a text of several lines, or save it as JSONL"
        )
    return records
