"""The recipe: one small TOML file that says what is done to which model. Pure data, checked when made."""

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError, reason
from clampdown.reading import read_text
from clampdown.recipe.bundled import COME_ALONG
from clampdown.recipe.checks import check_known, is_whole, require, shown, table_at, text_at
from clampdown.recipe.edits import Clamp, Direction, Edit, check_apart, edit_dict, edit_of
from clampdown.recipe.gate import Gate
from clampdown.recipe.positions import KEYS, Positions
from clampdown.writing import write_whole

VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """What is done to a model: edits, where in the sequence, perhaps a gate that decides when, and a system prompt.

    Equal recipes have equal hashes; every key is checked, and unknown ones are errors.
    """

    name: str
    model: str
    model_sha256: str
    edits: tuple[Edit, ...] = ()
    positions: Positions = field(default_factory=Positions)
    system_prompt: str = ""
    note: str = ""
    gate: Gate | None = None

    def __post_init__(self) -> None:
        # A name is printed in tables and receipts: no line ends, and no escape codes for the terminal.
        for key in ("name", "model", "model_sha256", "system_prompt", "note"):
            require(isinstance(given := getattr(self, key), str), f"{key} must be a text, got {shown(given)}")
        require(bool(self.name) and self.name.isprintable(), "a recipe needs a name, of printable characters")
        require(bool(self.model), "a recipe must name its model")
        edits = tuple(self.edits) if isinstance(self.edits, list | tuple) else None
        good = edits is not None and all(isinstance(edit, Clamp | Direction) for edit in edits)
        require(good, f"edits must be Clamps and Directions, got {shown(self.edits)}")
        require(isinstance(self.positions, Positions), f"positions must be Positions, got {shown(self.positions)}")
        require(self.gate is None or isinstance(self.gate, Gate), f"gate must be a Gate, got {shown(self.gate)}")
        object.__setattr__(self, "edits", edits)
        check_apart(self.clamps)

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def clamps(self) -> list[Clamp]:
        """The edits that set latents of an SAE."""
        return [edit for edit in self.edits if isinstance(edit, Clamp)]

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that changes what the model does; name and note do not."""
        body = {k: v for k, v in self.to_dict().items() if k not in ("name", "note")}
        if self.gate is not None:  # the hash of its file says what it does, not where it lies
            body["gate"] = {k: v for k, v in body["gate"].items() if k != "file"}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def deciding(self, decide: str) -> "Recipe":
        """The same with its gate forced "open" or "shut", or so; itself where it has none."""
        return self if self.gate is None else replace(self, gate=replace(self.gate, decide=decide))

    def on_plain_text(self) -> "Recipe":
        """The recipe as a plain passage is measured under it: nobody asks there, so a gate that would score is open.

        Shut there would be nothing to measure. One that only watches is shut.
        """
        forced = {"score": "open", "watch": "shut"}
        return self if self.gate is None else self.deciding(forced.get(self.gate.decide, self.gate.decide))

    def to_dict(self) -> dict[str, Any]:
        """The TOML file's content as plain data."""
        body: dict[str, Any] = {"version": VERSION, "name": self.name}
        body |= {key: text for key in ("note", "system_prompt") if (text := getattr(self, key))}
        body["model"] = {"name": self.model, "sha256": self.model_sha256}
        body["positions"] = self.positions.to_dict()
        if self.gate is not None:
            body["gate"] = self.gate.to_dict()
        body["edits"] = [edit_dict(edit) for edit in self.edits]
        return body

    def to_toml(self) -> str:
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    def save(self, path: Path) -> None:
        """Write the recipe atomically, its gate's file beside it. Raises ClampdownError if that can't be done."""
        path = Path(path)
        kept = self if self.gate is None else replace(self, gate=self.gate.kept_in(path.parent))
        write_whole(path, kept.to_toml())

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a recipe file. Raises ClampdownError, naming the file and the key, if anything is off."""
        path = Path(path)
        try:
            text = read_text(path, "recipe")
        except ClampdownError as error:
            raise ClampdownError(str(error) if os.path.lexists(path) else f"{error}; {COME_ALONG}") from error
        try:
            found = cls.from_toml(text)
            return found if found.gate is None else replace(found, gate=found.gate.found_from(path.parent))
        except ClampdownError as error:
            raise ClampdownError(f"recipe {path}: {error}") from error

    @classmethod
    def from_toml(cls, text: str) -> "Recipe":
        try:
            body = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and endless brackets
            raise ClampdownError(f"not valid TOML ({reason(error)})") from error
        return cls.from_dict(body)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Recipe":
        """The recipe of a parsed TOML file. Raises ClampdownError for unknown, missing or wrong keys."""
        known = {"version", "name", "note", "system_prompt", "model", "positions", "gate", "edits"}
        check_known(body, known, "the recipe")
        version = body.get("version", VERSION)
        good = is_whole(version) and version == VERSION
        require(good, f"version {shown(version)} is not known here; this Clampdown reads version {VERSION}")
        model = table_at(body, "model")
        check_known(model, {"name", "sha256"}, "[model]")
        positions = table_at(body, "positions")
        check_known(positions, KEYS, "[positions]")
        edits = body.get("edits", [])
        require(isinstance(edits, list), "edits must be a list of tables: [[edits]]")
        return cls(
            name=text_at(body, "name"),
            model=text_at(model, "name"),
            model_sha256=text_at(model, "sha256", ""),
            edits=tuple(edit_of(table, number) for number, table in enumerate(edits, 1)),
            positions=Positions(**positions),
            system_prompt=text_at(body, "system_prompt", ""),
            note=text_at(body, "note", ""),
            gate=Gate.from_dict(table_at(body, "gate")) if "gate" in body else None,
        )
