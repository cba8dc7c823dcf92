"""`clampdown sae`: find published SAEs, and check that one fits a model."""

import argparse
from typing import TYPE_CHECKING, Any

from clampdown.cli import sae_check
from clampdown.cli.options import add_json, command, whole
from clampdown.cli.terminal import print_json, print_table, say
from clampdown.errors import ClampdownError

if TYPE_CHECKING:
    from clampdown.saes.directory import Entry

_SHOWN = 40
_EXAMPLE = """  clampdown sae search llama --layer 19
  clampdown sae check ./my-model my-sae/sae.safetensors"""
_SEARCH_EXAMPLE = """  clampdown sae search gemma-scope 16k canonical
  clampdown sae search --model meta-llama/Llama-3.1-8B-Instruct --json"""


def add_parser(subparsers: Any) -> None:
    said = "Find published SAEs by words, model or layer; check whether an SAE fits a model."
    parser = command(subparsers, "sae", "find SAEs, and check whether one fits a model", said, _EXAMPLE)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)
    _add_search(actions)
    sae_check.add_parser(actions)


def _add_search(subparsers: Any) -> None:
    said = (
        "List SAEs that can be named wherever an SAE is: the one that comes along, and those that others have "
        "published. The list comes along; nothing is fetched."
    )
    parser = command(subparsers, "search", "list known SAEs", said, _SEARCH_EXAMPLE)
    parser.add_argument("words", metavar="WORDS", nargs="*", help="words that the name or the model must hold")
    parser.add_argument("--model", metavar="M", default="", help="only SAEs of this model")
    parser.add_argument("--layer", metavar="L", type=whole, help="only those after this block, from 0")
    add_json(parser, "what was found")
    parser.set_defaults(run=_search)


def _search(args: argparse.Namespace) -> int:
    from clampdown.saes.directory import directory, search

    found = search(args.words, args.model, args.layer)
    if args.json:
        print_json({"directory": directory()["source"], "saes": [_facts(entry) for entry in found]})
        return 0
    if not found:
        raise ClampdownError("no known SAE is like that; try fewer words")
    _print(found)
    return 0


def _facts(entry: "Entry") -> dict[str, Any]:
    facts = {key: getattr(entry, key) for key in ("name", "model", "layer", "width", "repo", "page")}
    return {**facts, "readable": not entry.refused, "why": entry.refused}


def _print(found: list["Entry"]) -> None:
    from clampdown.cli.tables import add_row, plain_table

    table = plain_table("name", "model", "layer", "width", "can be used", right=("layer", "width"))
    table.columns[0].no_wrap = True  # a name that is broken can't be copied
    for entry in found[:_SHOWN]:
        layer = "" if entry.layer is None else str(entry.layer)
        can = f"no: {entry.refused}" if entry.refused else "yes"
        add_row(table, entry.name, entry.model, layer, entry.width, can)
    print_table(table)
    if len(found) > _SHOWN:
        say(f"and {len(found) - _SHOWN:,} more; add words, --model or --layer, or print all with --json")
