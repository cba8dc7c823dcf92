"""`clampdown gate`: fit a gate, tell how well one does, and attack it."""

from typing import Any

from clampdown.cli import gate_attack, gate_check, gate_fit
from clampdown.cli.options import command

_EXAMPLE = """  clampdown gate fit --out gated.toml
  clampdown gate check gated.toml --unsafe bad.jsonl --safe fine.jsonl
  clampdown gate attack gated.toml"""


def add_parser(subparsers: Any) -> None:
    said = "Fit what decides, prompt by prompt, whether a recipe steers, tell how well it decides, and attack it."
    parser = command(subparsers, "gate", "fit, check and attack what decides when a recipe steers", said, _EXAMPLE)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)
    gate_fit.add_parser(actions)
    gate_check.add_parser(actions)
    gate_attack.add_parser(actions)
