"""The door for files that a user names: regular ones alone, read whole, their text told apart from other bytes."""

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from clampdown.errors import ClampdownError

LIMIT = 1 << 30
"""Bytes that a file read whole may have, unpacked: more is no set, recipe or record, or never ends."""

_OTHER_THINGS = {
    stat.S_IFDIR: "it is a folder, not a file",
    stat.S_IFIFO: "it is a pipe, not a file; write what it carries to a file, and name that",
    stat.S_IFSOCK: "it is a socket, not a file",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
}
_POINTER = b"version https://git-lfs.github.com/"
_UTF16 = "it is UTF-16 text; save it as UTF-8"
_OTHER_BYTES = {
    b"\xff\xfe\x00\x00": "it is UTF-32 text; save it as UTF-8",
    b"\x00\x00\xfe\xff": "it is UTF-32 text; save it as UTF-8",
    b"\xff\xfe": _UTF16,
    b"\xfe\xff": _UTF16,
    b"\x1f\x8b": "it is packed with gzip; end its name in .gz",
    b"PK\x03\x04": "it is an Excel workbook or another zip archive; save the sheet as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "it is an Excel workbook or another Office file; save the sheet as CSV in UTF-8",
    b"\x28\xb5\x2f\xfd": "it is packed with zstd; unpack it",
    b"\xfd7zXZ\x00": "it is packed with xz; unpack it",
    b"BZh91AY&SY": "it is packed with bzip2; unpack it",
    b"PAR1": "it is a Parquet file; end its name in .parquet",
    b"SQLite format 3\x00": "it is a SQLite database, not text",
    _POINTER: "it only points to the file, which Git LFS keeps; run: git lfs pull",
}  # fmt: skip
"""How files begin that are no UTF-8 text of a user's, longer beginnings first."""


def check_file(path: Path, what: str = "") -> None:
    """Raise ClampdownError unless `path` is a regular file, or a link to one; nothing is opened, so nothing waits.

    what: the word for it in the error, such as "set".
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(path, what, error) from error
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise ClampdownError(f"can't read {_named(path, what)}: {_OTHER_THINGS.get(kind, 'it is not a file')}")


def read_bytes(path: Path, what: str = "") -> bytes:
    """A file's bytes. Raises ClampdownError if it is no regular file, too large, or can't be read."""
    check_file(path, what)
    try:
        with Path(path).open("rb") as stream:
            return _whole(stream, _named(path, what))
    except OSError as error:
        raise unreadable(path, what, error) from error


def read_text(path: Path, what: str = "") -> str:
    """A file's text (also .gz), its lines ended by a line feed each.

    Raises:
        ClampdownError: as `read_bytes`, `unpacked` and `as_text` do.
    """
    text = as_text(unpacked(read_bytes(path, what), path, what), _named(path, what))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def unpacked(data: bytes, path: Path, what: str = "") -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz. Raises ClampdownError if it is no whole gzip file."""
    if Path(path).suffix.lower() != ".gz":
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return _whole(stream, _named(path, what))
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, what, error) from error


def as_text(data: bytes, name: str, line: int = 1) -> str:
    """What UTF-8 bytes say, to the letter, without the byte order mark that may stand first.

    Args:
        name: what the errors call the file.
        line: the number of the first line.

    Raises:
        ClampdownError: they are another encoding, packed, or no text, by the line where that shows.
    """
    if line == 1:
        found = next((said for start, said in _OTHER_BYTES.items() if data.startswith(start)), None)
        if found:
            raise ClampdownError(f"can't read {name}: {found}")
    try:
        text = data.decode("utf-8-sig" if line == 1 else "utf-8")
        at = data.find(b"\0")
        said = "holds a NUL byte, so it is no text in UTF-8 (in UTF-16, perhaps)" if at >= 0 else ""
    except UnicodeDecodeError as error:
        text, at = "", error.start + (3 if line == 1 and data.startswith(b"\xef\xbb\xbf") else 0)
        said = f"is not UTF-8 text (byte 0x{data[at]:02x})"
    if said:
        raise ClampdownError(f"can't read {name}: line {line + _line_ends(data[:at])} {said}; save it as UTF-8")
    return text


def numbered_lines(path: Path, what: str = "") -> Iterator[tuple[int, str]]:
    """The lines of a text file (also .gz) one by one, with their numbers from 1; for files too large to be held.

    Raises:
        ClampdownError: as `read_text` does.
    """
    check_file(path, what)
    packed = Path(path).suffix.lower() == ".gz"
    try:
        with gzip.open(path, "rb") if packed else Path(path).open("rb") as stream:
            for number, line in enumerate(stream, 1):
                yield number, as_text(line, _named(path, what), number)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, what, error) from error


def stand_in(file: Path | bytes) -> str:
    """What lies in the place of a file that was to be fetched, and what to do; "" for any other.

    file: a path, or the bytes that the file begins with. Raises OSError where it can't be read.
    """
    if isinstance(file, Path):
        with file.open("rb") as stream:
            file = stream.read(512)
    if not file:
        return "it is empty; fetch it again"
    if file.startswith(_POINTER):
        return (
            "it is a git-lfs pointer, not the file itself; run `git lfs pull` in its folder, or fetch it with "
            "`hf download`"
        )
    if file.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page saved in its place; fetch it again with `hf download`"
    return ""


def unreadable(path: Path, what: str, error: BaseException) -> ClampdownError:
    """The one line for what the system says of a file."""
    return ClampdownError(f"can't read {_named(path, what)}: {getattr(error, 'strerror', None) or error}")


def _whole(stream: "IO[bytes] | gzip.GzipFile", name: str) -> bytes:
    try:
        data = stream.read(LIMIT + 1)
    except MemoryError as error:
        raise ClampdownError(f"can't read {name}: there is too little memory for it; split it") from error
    if len(data) > LIMIT:
        raise ClampdownError(f"can't read {name}: it holds more than {LIMIT >> 30} GiB; split it")
    return data


def _line_ends(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _named(path: Path, what: str) -> str:
    return f"{what} {path}".lstrip()
