"""`clampdown report`: write a finished study's report again, or compare two studies on the items they share."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clampdown.cli.options import add_json, command
from clampdown.cli.terminal import one_line, print_json, print_table, say
from clampdown.errors import ClampdownError

_EXAMPLE = """  clampdown report clampdown-studies/guarded-quick-0123456789     write its report again
  clampdown report before after                                   their recipes' arms, item by item
  clampdown report before after --arms none clamp-1               an arm of the first against one of the second"""


def add_parser(subparsers: Any) -> None:
    said = (
        "With one study: judge its answers with today's judge, and write its report and results again. With two: "
        "compare an arm of the first with one of the second, paired by item. Studies whose items, judges, lengths of "
        "answers or thinking differ are not compared; what else differs between them is told."
    )
    parser = command(subparsers, "report", "write a study's report again, or compare two studies", said, _EXAMPLE)
    parser.add_argument("studies", metavar="STUDY", type=Path, nargs="+", help="one or two folders of studies")
    parser.add_argument(
        "--arms", metavar="ARM", nargs=2, help="arm of the first and of the second (default: their recipes as they are)"
    )
    add_json(parser, "the comparison, or the report's paths,")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from clampdown.studies.record import read_record

    if len(args.studies) > 2:
        raise ClampdownError(f"{len(args.studies)} studies were named; compare two at a time")
    if len(args.studies) == 1:
        if args.arms:
            raise ClampdownError("--arms names an arm of each of two studies; name a second study, or leave it out")
        return _again(read_record(args.studies[0]), args.json)
    from clampdown.studies.against import against

    a, b = (read_record(path) for path in args.studies)
    arms = args.arms or [record.recommended for record in (a, b)]
    found = against(a, b, *arms)
    if args.json:
        print_json(found)
    else:
        _print(found)
    return 0


def _again(record: Any, as_json: bool) -> int:
    from clampdown.studies.run import conclude

    found = conclude(record)
    if as_json:
        print_json({key: found[key] for key in ("schema", "report", "database")})
    else:
        if found["missing"]:
            left = ", ".join(arm["label"] for arm in found["missing"])
            say(f"note: not finished yet are {one_line(left)}; the same `clampdown study` goes on", aside=True)
        say(f"report: {found['report']}")
    return 0


def _print(found: Mapping[str, Any]) -> None:
    from clampdown.cli.tables import add_row, plain_table

    names = [f"{found[side]['label']} ({found[side]['study']})" for side in ("a", "b")]
    say(f"A: {one_line(names[0])}\nB: {one_line(names[1])}")
    numbers = ("A", "B", "B − A, 95%", "n", "p", "p, adjusted")
    table = plain_table("set", "measure", *numbers, right=numbers)
    for row in found["sets"]:
        plain = row["metric"] in ("bits_per_byte", "score")
        show, points = (_bits, _bits) if plain else (_percent, _points)
        between = f"{points(row['difference'], '+')} [{points(row['low'], '+')}, {points(row['high'], '+')}]"
        unit = "" if plain or row["difference"] is None else " points"
        cells = (show(row["a"]["value"]), show(row["b"]["value"]), between + unit, str(row["n"]))
        add_row(table, row["set"], row["metric"].replace("_", " "), *cells, _p(row["p"]), _p(row["p_adjusted"]))
    print_table(table)
    if (tested := sum(row["p"] is not None for row in found["sets"])) > 1:
        say(f"p is adjusted for {tested} tests by Holm's method; what is said of a difference rests on that")
    for row in found["sets"]:
        say(one_line(f"{row['set']}: {row['reading']}"))
    for line in [*found["left_out"], *found["notes"]]:
        say(f"note: {one_line(line)}")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}%"


def _points(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{100 * value:{sign}.0f}".replace("-", "−")


def _bits(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.3f}".replace("-", "−")


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
