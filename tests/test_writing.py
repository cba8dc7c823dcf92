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
