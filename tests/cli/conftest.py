"""The command line in process, and the bundled model loaded once for all tests."""

import pytest

from clampdown import library
from clampdown.cli import chat, find
from clampdown.cli.main import main


@pytest.fixture
def clampdown(capsys):
    """Run a command: its exit code, standard output and standard error."""

    def run(*arguments):
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture(scope="session")
def model():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads on a busy machine mostly wait for each other
    yield library.load(dtype="float32")
    torch.set_num_threads(before)


@pytest.fixture
def loaded(monkeypatch, model):
    """Commands find the bundled model loaded already."""
    for module in (chat, find):
        monkeypatch.setattr(module, "load_model", lambda name, dtype, progress: model)
    return model
