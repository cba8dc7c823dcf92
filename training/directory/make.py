"""The directory of published SAEs that comes along, made from SAELens' own list.

    pip install --no-deps sae-lens && python training/directory/make.py         (--check compares, and writes nothing)

It keeps what names an SAE and says how to read it: release, id, repository, place in it, model, format, factors, hash
and Neuronpedia's page. What is measured of SAEs there, such as their L0, is left out.
"""

import gzip
import json
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

OUT = Path(__file__).parents[2] / "src/clampdown/saes/published.json.gz"
OF_RELEASE = ("conversion_func", "model", "repo_id", "config_overrides")
OF_SAE = ("id", "path", "norm_scaling_factor", "sha256", "neuronpedia")


def kept(facts: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: facts[key] for key in keys if facts.get(key) not in (None, {})}


def main() -> None:
    package = find_spec("sae_lens")
    if package is None or package.origin is None:
        raise SystemExit("sae-lens is not installed; pip install --no-deps sae-lens")
    listed = yaml.safe_load((Path(package.origin).parent / "pretrained_saes.yaml").read_text(encoding="utf-8"))
    releases = {
        name: {**kept(facts, OF_RELEASE), "saes": [kept(sae, OF_SAE) for sae in facts["saes"]]}
        for name, facts in sorted(listed.items())
    }
    body = {"source": f"SAELens {version('sae-lens')}, pretrained_saes.yaml", "releases": releases}
    text = json.dumps(body, separators=(",", ":")).encode()
    if "--check" in sys.argv:
        raise SystemExit(0 if gzip.decompress(OUT.read_bytes()) == text else f"{OUT.name} is out of date")
    OUT.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{OUT.name}: {sum(len(one['saes']) for one in releases.values()):,} SAEs in {len(releases)} releases")


if __name__ == "__main__":
    main()
