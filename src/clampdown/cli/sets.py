"""`clampdown sets`: which public sets have a name here, and which of them are at hand."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from clampdown.cli.options import add_json, command, print_json

_EXAMPLE = """  clampdown sets                                       all that have a name
  clampdown sets --fetch harmbench xstest-safe         download these two now
  clampdown study --unsafe harmbench --lookalike xstest-safe
  clampdown study --unsafe advbench=mine.csv           your own copy of one"""


def add_parser(subparsers: Any) -> None:
    said = (
        "List the built-in sets and the public ones that a name stands for, wherever a set's file is asked for. They "
        "are looked for in the folder $CLAMPDOWN_SETS and among what was fetched before; the others are fetched when "
        "first used, which a gated set allows only once you have agreed to its terms."
    )
    parser = command(subparsers, "sets", "list the public sets that have a name, and fetch some", said, _EXAMPLE)
    parser.add_argument("--fetch", metavar="NAME", nargs="+", default=[], help="download these now")
    add_json(parser, "the list")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from clampdown.measuring.named.copies import at_hand, fetch
    from clampdown.measuring.named.finding import split_name
    from clampdown.measuring.named.listing import listing

    wanted = [split_name(name)[0] for name in args.fetch]  # a wrong name shows before anything is fetched
    for named in wanted:
        if at_hand(named) is None:
            fetch(named)
    told = listing([named.name for named in wanted] if wanted else None)
    if args.json:
        print_json({"sets": told})
    else:
        _print(told)
    return 0


def _print(told: Sequence[Mapping[str, Any]]) -> None:
    from clampdown.cli.tables import console, plain_table

    table = plain_table("name", "kind", "items", "at hand", "licence", "what it is", right=("items",))
    for one in told:
        table.add_row(one["name"], one["kinds"][0], _items(one), _at_hand(one), one["licence"], one["about"])
    console().print(table)
    for one in told:
        if one["problem"]:
            print(f"{one['name']}: {one['problem']}")


def _items(one: Mapping[str, Any]) -> str:
    """How many there are; of how many, where a copy holds another number than was published."""
    count, published = one["items"], one["published"]
    if count is None:
        return "–" if published is None else str(published)
    return str(count) if published in (None, count) else f"{count} of {published}"


def _at_hand(one: Mapping[str, Any]) -> str:
    return one["at_hand"] or ("no; gated" if one["gated"] else "no")
