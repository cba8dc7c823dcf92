"""Which SAE a published file is: its bytes, and what is said elsewhere of how they are used."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from clampdown.saes.hashes import sha256_when_asked
from clampdown.saes.sae import SAE

_DECIDE = ("kind", "k", "normalise", "subtract_decoder_bias")


def identified(file: Path, told: Mapping[str, object] | None = None, **parts: Any) -> SAE:
    """An SAE of these parts, hashed with the facts that decide its arithmetic beside the bytes of its weights' file.

    Those facts stand in configurations, names and directories. What else stands there (notes, the model) leaves the
    hash as it is. `told` holds facts that were worked into the parts, such as a fixed factor of the inputs.
    """
    facts = {f.name: parts.get(f.name, f.default) for f in fields(SAE) if f.name in _DECIDE} | dict(told or {})
    of_file = sha256_when_asked(file, parts["name"])

    def find() -> str:
        said = json.dumps({"file": of_file(), **facts}, sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    return SAE(**parts, sha256=find)
