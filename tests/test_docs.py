"""The generated docs: every public name is told, overloads and all, and what a docstring wraps stays one point."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import clampdown

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def generate():
    found = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_every_public_name_and_method_has_a_heading(generate):
    text = generate.library()
    headings = set(re.findall(r"^#+ `([\w.]+)`$", text, re.M))
    for name in clampdown.__all__:
        assert name.startswith("__") or name in headings
        thing = getattr(clampdown, name)
        if not inspect.isclass(thing):
            continue
        for owner in thing.__mro__:
            for member, held in vars(owner).items() if owner.__module__.startswith("clampdown") else ():
                told = inspect.isroutine(held) or isinstance(held, property | classmethod | staticmethod)
                assert member.startswith("_") or not told or f"{name}.{member}" in headings, f"{name}.{member}"


def test_what_has_overloads_is_told_once_by_the_definition_that_does_the_work(generate):
    text = generate.library()
    assert text.count("### `Model.generate`") == 1
    told = text.split("### `Model.generate`")[1].split("### ")[0]
    assert "overload" not in told and "-> Answer | list[Answer]" in told and "batch_size: int = 32" in told


def test_each_point_of_a_docstring_names_what_it_is_about(generate):
    points = re.findall(r"^\*\*(?:Args|Raises|Attributes)\*\*\n\n((?:[- ] .*\n)+)", generate.library(), re.M)
    assert points
    for line in "".join(points).splitlines():
        assert line.startswith("  ") or re.match(r"- [\w., ]+: ", line), line


def test_every_module_says_what_it_is_for(generate):
    text, source = generate.structure(), DOCS.parent / "src" / "clampdown"
    files = [path for path in source.rglob("*.py") if not path.name.startswith("__init__")]
    assert text.count("\n- `") == len(files)
    for folder in {path.parent for path in files}:
        assert f"\n## {folder.relative_to(source.parent).as_posix()}\n" in text
