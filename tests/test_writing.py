"""A file is there whole or as it was, whatever happens on the way."""

import contextlib
import os
import stat

import pytest

from clampdown.errors import ClampdownError
from clampdown.writing import beside, write_whole


def test_it_makes_the_folder_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "folder" / "file.json"
    write_whole(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_whole(path, "old")
    with contextlib.suppress(ZeroDivisionError), beside(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_text_that_utf8_cannot_hold_is_one_line(tmp_path):
    with pytest.raises(ClampdownError, match=r"could not write .*file\.txt"):
        write_whole(tmp_path / "file.txt", "\ud800")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="permissions")
def test_permissions_are_those_of_any_other_file(tmp_path):
    (tmp_path / "any").write_text("")
    write_whole(tmp_path / "file", "")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClampdownError, match="could not write"):
        write_whole(tmp_path / "file" / "below", "text")


@pytest.mark.skipif(os.name == "nt", reason="permissions")
def test_no_library_decides_who_may_read_a_file(tmp_path):
    """safetensors, say, lets nobody but the owner read what it writes."""
    before = os.umask(0o027)
    try:
        for _ in range(2):
            with beside(tmp_path / "file") as part:
                part.touch(mode=0o600)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    finally:
        os.umask(before)
    (tmp_path / "file").chmod(0o604)
    write_whole(tmp_path / "file", "again")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o604, "a file that is replaced keeps its own"


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_links_are_followed_and_pipes_stay(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "file").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ClampdownError, match=r"could not write .*pipe: it is a pipe or a device"):
        write_whole(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link", "pipe"]
