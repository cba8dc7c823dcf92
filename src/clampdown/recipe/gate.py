"""The gate of a recipe: what decides, for each row at the end of its prompt, whether the edits are made."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.reading import read_bytes
from clampdown.recipe.bundled import FOLDER
from clampdown.recipe.checks import check_known, is_finite, require, shown
from clampdown.writing import beside

DECIDE = ("score", "open", "shut", "watch")
GOES_WITH = "it goes with the recipe: copy it beside, or fit a new one"
"""The way out, for the end of an error, where a gate's file is not there."""
KEYS = {"file", "sha256", "threshold", "external", "decide"}


@dataclass(frozen=True)
class Gate:
    """A row is steered where the gate opens. Two gates with one hash are one, wherever their files lie.

    Attributes:
        file: a safetensors file that scores prompts (see `steering.gate_file`); in a recipe's file, a path beside it.
        sha256: the hash of that file.
        threshold: the gate opens at this score; None is what the file says.
        external: in place of a file, the name of a classifier outside; each request then brings its decision.
        decide: "score" decides by the score; "open" and "shut" do so whatever comes; "watch" scores, and steers
            nothing.
    """

    file: str = field(default="", compare=False)
    sha256: str = ""
    threshold: float | None = None
    external: str = ""
    decide: str = "score"

    def __post_init__(self) -> None:
        for key in ("file", "sha256", "external", "decide"):
            require(isinstance(given := getattr(self, key), str), f"a gate's {key} must be a text, got {shown(given)}")
        require(self.decide in DECIDE, f"decide must be one of {', '.join(DECIDE)}, got {shown(self.decide)}")
        require(bool(self.file) != bool(self.external), "a gate needs either a file or the name of an external one")
        if self.external:
            require(self.external.isprintable(), "an external gate's name must be of printable characters")
            alone = not self.sha256 and self.threshold is None
            require(alone, "an external gate decides by itself: it has no sha256 and no threshold")
            return
        good = re.fullmatch("[0-9a-f]{64}", self.sha256)
        require(good, f"a gate's sha256 must be its file's hash, 64 hex digits, got {shown(self.sha256)}")
        known = self.threshold is None or is_finite(self.threshold)
        require(known, f"a gate's threshold must be a finite number, got {shown(self.threshold)}")
        if self.threshold is not None:
            object.__setattr__(self, "threshold", float(self.threshold) + 0.0)

    @property
    def asks(self) -> bool:
        """Whether a prompt must be scored, or its request asked, before anything is decided."""
        return self.decide in ("score", "watch")

    def to_dict(self) -> dict[str, Any]:
        """The keys of [gate]."""
        body = {key: given for key in ("file", "sha256", "external") if (given := getattr(self, key))}
        if self.threshold is not None:
            body["threshold"] = self.threshold
        return body if self.decide == "score" else body | {"decide": self.decide}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Gate":
        check_known(body, KEYS, "[gate]")
        return cls(**body)

    def found_from(self, folder: Path) -> "Gate":
        """The same, its file found from the folder of the recipe that names it, or among those that come along."""
        if not self.file:
            return self
        beside, along = folder.absolute() / self.file, FOLDER / self.kept_name
        return replace(self, file=str(along if along.is_file() and not beside.exists() else beside))

    def kept_in(self, folder: Path) -> "Gate":
        """The same, its file copied into this folder where it is elsewhere, and named from there.

        Raises:
            ClampdownError: the file can't be read or written, or is another than the hash says.
        """
        if not self.file:
            return self
        source = Path(self.file).absolute()
        if source.parent == folder.absolute():
            return replace(self, file=source.name)
        try:
            content = read_bytes(source, "gate")
        except ClampdownError as error:
            way_out = "" if source.exists() else f"; {GOES_WITH}"
            raise ClampdownError(f"{error}{way_out}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ClampdownError(f"{source} is not the file that the gate's sha256 names; fit or fetch it again")
        with beside(folder / self.kept_name) as part:
            part.write_bytes(content)
        return replace(self, file=self.kept_name)

    @property
    def kept_name(self) -> str:
        """What its file is called in a folder that it was copied into."""
        return f"gate-{self.sha256[:12]}.safetensors"

    def __str__(self) -> str:
        """In words, such as "gate-1f3a….safetensors, open from 0.5 on"."""
        if self.decide in ("open", "shut"):
            return f"forced {self.decide}"
        limit = "its own threshold" if self.threshold is None else f"{self.threshold:g}"
        told = f"{self.external}, outside" if self.external else f"{Path(self.file).name}, open from {limit} on"
        return told + (", only watched: nothing is steered" if self.decide == "watch" else "")
