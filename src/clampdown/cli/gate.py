"""`clampdown gate`: fit a gate, and tell how well one does."""

from typing import Any

from clampdown.cli import gate_check, gate_fit
from clampdown.cli.options import command

_EXAMPLE = """  clampdown gate fit --out gated.toml
  clampdown gate check gated.toml --unsafe bad.jsonl --safe fine.jsonl"""


def add_parser(subparsers: Any) -> None:
    said = "Fit what decides, prompt by prompt, whether a recipe steers; and tell how well it decides."
    parser = command(subparsers, "gate", "fit and check what decides when a recipe steers", said, _EXAMPLE)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)
    gate_fit.add_parser(actions)
    gate_check.add_parser(actions)
