"""What a GGUF file says about itself, read without its long lists and its weights, which takes moments.

The library that owns the format makes an array of every token of the vocabulary first, ten seconds for Gemma's.
"""

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_SHORT = 1024
"""Longest list whose values are kept: one for each block, say, but no vocabulary."""


class Place(NamedTuple):
    """Where a tensor lies: its kind as GGUF numbers them, how many values, and its first byte in the file."""

    kind: int
    values: int
    start: int


class Contents(NamedTuple):
    """keys: the file's facts by name; a long list is left out (None). tensors: by name."""

    keys: dict[str, Any]
    tensors: dict[str, Place]


def read_contents(path: Path) -> Contents:
    """What the file's header tells.

    Raises:
        OSError: it can't be read.
        ValueError: it is no GGUF file, or not a whole one.
    """
    from gguf import GGML_QUANT_SIZES

    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[:4] != b"GGUF":
                raise ValueError(f"{path} is no GGUF file")
            cursor = _Cursor(content)
            _version, n_tensors, n_keys = cursor.take("IQQ")
            keys = dict(cursor.key() for _ in range(n_keys))
            told = [cursor.tensor() for _ in range(n_tensors)]
            align = keys.get("general.alignment", 32)
            begin = -(-cursor.at // align) * align
            tensors = {name: Place(kind, values, begin + offset) for name, kind, values, offset in told}
            for kind, values, start in tensors.values():
                block, size = GGML_QUANT_SIZES[kind]
                if start + values // block * size > len(content):
                    raise ValueError(f"{path} is cut short")
            return Contents(keys, tensors)
    except (struct.error, KeyError, TypeError, UnicodeDecodeError, OverflowError, ZeroDivisionError) as error:
        raise ValueError(f"{path} is no whole GGUF file") from error


def read_floats(path: Path, place: Place) -> list[float]:
    """The values of a tensor of 32-bit floats, which small ones are."""
    if place.kind != 0:
        raise ValueError(f"{path} has a tensor packed that is never packed")
    with path.open("rb") as stream:
        stream.seek(place.start)
        return list(struct.unpack(f"<{place.values}f", stream.read(4 * place.values)))


class _Cursor:
    """Reads a header from its beginning."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.at = content, 4

    def take(self, layout: str) -> tuple[Any, ...]:
        layout = f"<{layout}"
        found = struct.unpack_from(layout, self.content, self.at)
        self.at += struct.calcsize(layout)
        return found

    def text(self) -> str:
        (length,) = self.take("Q")
        start, self.at = self.at, self.at + length
        if self.at > len(self.content):
            raise ValueError("the file ends inside a text")
        return self.content[start : self.at].decode("utf-8", errors="replace")

    def key(self) -> tuple[str, Any]:
        return self.text(), self.value(*self.take("I"))

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.take(_SCALARS[kind])[0]
        kind, count = self.take("IQ")
        if count <= _SHORT:
            return [self.value(kind) for _ in range(count)]
        if kind == _STRING:
            self.skip_texts(count)
        elif kind == _ARRAY:
            raise ValueError("a list of lists")
        else:
            self.at += count * struct.calcsize(_SCALARS[kind])
        return None

    def skip_texts(self, count: int) -> None:
        read, content, at = struct.Struct("<Q").unpack_from, self.content, self.at
        for _ in range(count):
            at += 8 + read(content, at)[0]
        self.at = at

    def tensor(self) -> tuple[str, int, int, int]:
        name, (dimensions,) = self.text(), self.take("I")
        values = 1
        for size in self.take(f"{dimensions}Q"):
            values *= size
        kind, offset = self.take("IQ")
        return name, kind, values, offset
