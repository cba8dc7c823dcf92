"""Files that a user names: regular ones are read whole, anything else is one line, and nothing waits."""

import gzip
import os
import socket
import subprocess
import sys

import pytest

from clampdown import reading
from clampdown.errors import ClampdownError
from clampdown.reading import check_file, numbered_lines, read_bytes, read_text
from clampdown.recipe import Recipe
from clampdown.saes.load import load_sae
from clampdown.studies.study_file import read_study_file

posix = pytest.mark.skipif(os.name == "nt", reason="pipes")


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_text_is_read_to_the_letter_but_for_its_mark_and_line_ends(tmp_path):
    (tmp_path / "a").write_bytes("\ufeffä\r\nb\rc\u2028d\n".encode())
    assert read_text(tmp_path / "a") == "ä\nb\nc\u2028d\n"
    (tmp_path / "a.GZ").write_bytes(gzip.compress(b"packed"))
    assert read_text(tmp_path / "a.GZ") == "packed"
    link = tmp_path / "link"
    link.symlink_to("a")
    assert read_bytes(link) == (tmp_path / "a").read_bytes()


@posix
@pytest.mark.parametrize("read", [read_bytes, read_text, Recipe.load, read_study_file, lambda path: load_sae(str(path)),
                                  lambda path: list(numbered_lines(path))])  # fmt: skip
def test_a_pipe_that_nobody_writes_to_is_one_line_at_once(read, pipe, one_line):
    for path in (pipe, "/dev/zero"):
        with pytest.raises(ClampdownError) as caught:
            read(path)
        one_line(caught, "can't read", str(path), "not a file")


@posix
def test_what_is_no_file_is_told_by_its_kind(tmp_path, pipe, one_line):
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    kinds = {"folder": "a folder", "broken": "No such file", "circle": "symbolic links", "x" * 300: "too long",
             "pipe": "write what it carries to a file", "nul\0": "null"}  # fmt: skip
    for name, word in kinds.items():
        with pytest.raises(ClampdownError) as caught:
            check_file(tmp_path / name, "set")
        one_line(caught, "can't read set", word)
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(tmp_path)  # the names of sockets are short
        listening.bind("socket")
        with pytest.raises(ClampdownError, match="it is a socket, not a file"):
            check_file(tmp_path / "socket")


OTHER = {
    "UTF-16": "prompt\n".encode("utf-16"),
    "UTF-16 ": b"\xfe\xff" + "prompt\n".encode("utf-16-be"),
    "UTF-32": "prompt\n".encode("utf-32"),
    "line 2 holds a NUL byte": b"a\nb\0",
    "line 1 holds a NUL byte": "prompt\n".encode("utf-16-le"),
    "line 3 is not UTF-8 text (byte 0xe9)": b"a\rb\r\ncaf\xe9\n",
    "line 1 is not UTF-8 text (byte 0xff)": b"\xef\xbb\xbf\xff",
    "Excel": b"PK\x03\x04rest",
    "Office": b"\xd0\xcf\x11\xe0rest",
    ".gz": gzip.compress(b"x"),
    "SQLite": b"SQLite format 3\0",
    ".parquet": b"PAR1",
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
}


@pytest.mark.parametrize("said", OTHER)
def test_other_bytes_than_text_are_told_with_a_remedy(said, tmp_path, one_line):
    path = tmp_path / "a.txt"
    path.write_bytes(OTHER[said])
    for read in (read_text, lambda path: list(numbered_lines(path))):
        with pytest.raises(ClampdownError) as caught:
            read(path)
        if read is read_text or b"\r" not in OTHER[said]:  # line by line, lines end at a line feed
            one_line(caught, str(path), said.strip())


def test_more_than_can_be_held_is_one_line_packed_or_not(tmp_path, monkeypatch, one_line):
    monkeypatch.setattr(reading, "LIMIT", 1000)
    (tmp_path / "a").write_bytes(b"x" * 1000)
    assert len(read_bytes(tmp_path / "a")) == 1000
    (tmp_path / "a").write_bytes(b"x" * 1001)
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"x" * 100_000))
    for name in ("a", "b.gz"):
        with pytest.raises(ClampdownError) as caught:
            read_text(tmp_path / name)
        one_line(caught, name, "split it")


@posix
def test_what_a_shell_gives_for_a_process_is_told(tmp_path):
    code = "import sys; from clampdown.cli.main import main; sys.exit(main(['study', '--unsafe', sys.argv[1]]))"
    shell = f'{sys.executable} -c "{code}" <(echo prompt)'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "it is a pipe, not a file" in done.stderr and done.stderr.count("\n") == 1
