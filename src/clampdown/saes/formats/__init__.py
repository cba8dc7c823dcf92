"""Readers of the formats in which others publish SAEs: one module each, tried in this order.

A module offers `matches(path)`, a cheap look at file names and config keys, and `read(path, name)`, which returns the
SAE with the activations in its publisher's own units. `path` is a file or a folder on this machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from clampdown.errors import ClampdownError
from clampdown.saes.sae import SAE

FORMATS = {
    "sae_lens": "SAELens",
    "sparsify": "EleutherAI sparsify",
    "dictionary_learning": "dictionary_learning",
    "gemma_scope": "Gemma Scope",
    "gemma_scope_2": "Gemma Scope 2",
    "llama_scope": "Llama Scope",
    "qwen_scope": "Qwen Scope",
    "goodfire": "Goodfire",
}
"""Modules of this package and what people call the format."""


def matching(path: Path) -> ModuleType | None:
    """The reader of the format that `path`, a file or a folder, looks like."""
    modules = (import_module(f"{__name__}.{module_name}") for module_name in FORMATS)
    return next((module for module in modules if module.matches(path)), None)


def read_any(path: Path, name: str) -> SAE:
    """Read an SAE in whichever known format `path`, a file or a folder, is.

    Raises:
        ClampdownError: no known format, or one that says what is wrong with the file.
    """
    module = matching(path)
    if module is None:
        known = ", ".join(["Clampdown's own", *FORMATS.values()])
        raise ClampdownError(f"{name} is not an SAE in a format known here; known are {known}")
    sae: SAE = module.read(path, name)
    return sae


@contextmanager
def whatever_the_files_say(name: str) -> Iterator[None]:
    """Files can contradict each other in more ways than a reader thinks of: each of them is one line.

    Raises:
        ClampdownError: in place of any other exception.
    """
    try:
        yield
    except ClampdownError:
        raise
    except MemoryError as error:
        raise ClampdownError(f"{name} asks for more memory than is free; free some, or fetch it again") from error
    except OSError as error:
        raise ClampdownError(f"{name}: can't read its files ({error.strerror or error})") from error
    except Exception as error:
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ClampdownError(f"{name}: its files contradict each other ({said}); fetch them again") from error
