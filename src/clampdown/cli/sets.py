"""`clampdown sets`: which public sets have a name here, and which of them are at hand."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from clampdown.cli.options import add_json, command
from clampdown.cli.terminal import print_json, print_table, say
from clampdown.errors import ClampdownError

_EXAMPLE = """  clampdown sets                                       all that have a name
  clampdown sets harmbench                             all that is known of this one
  clampdown sets harmbench=mine.csv                    and of your own copy of it
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
    shown = "show the pages of these, in full; NAME=FILE for a copy of your own"
    parser.add_argument("names", metavar="NAME", nargs="*", default=[], help=shown)
    parser.add_argument("--fetch", metavar="NAME", nargs="+", default=[], help="download these now")
    add_json(parser, "the list")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from clampdown.measuring.sets.named import BUILT_IN, NAMED
    from clampdown.measuring.sets.named.copies import at_hand, fetch
    from clampdown.measuring.sets.named.finding import check_name
    from clampdown.measuring.sets.named.listing import listing

    wanted = [*args.names, *args.fetch]
    for name in wanted:  # a wrong name shows before anything is fetched
        check_name(name)
    for name in args.fetch:
        if name not in {*BUILT_IN, *NAMED}:
            raise ClampdownError(f"--fetch {name} names a file that is here already; leave out --fetch, or the file")
    for name in args.fetch:
        if name in BUILT_IN:
            say(f"{name} comes along with Clampdown; there is nothing to fetch", aside=True)
        elif at_hand(named := NAMED[name]) is None:
            fetch(named)
    told = listing(wanted or None)
    if args.json:
        print_json({"sets": told})
    elif args.names:
        say("\n\n".join(map(_page, told)))
    else:
        _print(told)
    return 0


def _page(one: Mapping[str, Any]) -> str:
    """All that is known of one set, a line each."""
    lines = {
        "what it is": one["about"],
        "kind": " or ".join(one["kinds"]),
        "items": _items(one),
        "split": one["split"],
        "columns": ", ".join(f"{part}: {column}" for part, column in one["columns"].items()),
        "rows used": "; ".join(f"{column} is {' or '.join(values)}" for column, values in one["keep"].items()) or "all",
        "at hand": _at_hand(one),
        "source": one["source"],
        "revision": one["revision"] or ("–" if one["at_hand"] == "built-in" else "the newest"),
        "licence": one["licence"],
        "paper": one["paper"] or "–",
    }
    lines |= {"problem": one["problem"]} if one["problem"] else {}
    return "\n".join([one["name"], *(f"  {key:12}{value}" for key, value in lines.items())])


def _print(told: Sequence[Mapping[str, Any]]) -> None:
    from clampdown.cli.tables import add_row, plain_table

    table = plain_table("name", "kind", "items", "at hand", "licence", "what it is", right=("items",))
    for one in told:
        add_row(table, one["name"], one["kinds"][0], _items(one), _at_hand(one), one["licence"], one["about"])
    print_table(table)
    for one in told:
        if one["problem"]:
            say(f"{one['name']}: {one['problem']}")


def _items(one: Mapping[str, Any]) -> str:
    """How many there are; of how many, where a copy holds another number than was published."""
    count, published = one["items"], one["published"]
    if count is None:
        return "–" if published is None else str(published)
    return str(count) if published in (None, count) else f"{count} of {published}"


def _at_hand(one: Mapping[str, Any]) -> str:
    return one["at_hand"] or ("no; gated" if one["gated"] else "no")
