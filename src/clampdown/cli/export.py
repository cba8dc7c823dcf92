"""`clampdown export`: hand a study's answers on, as a table or as logs of another program."""

import argparse
import glob
from pathlib import Path
from typing import Any

from clampdown.cli.options import add_force, check_writable, command, out_path
from clampdown.cli.terminal import print_json, say
from clampdown.errors import ClampdownError

FORMATS = ("parquet", "inspect", "json")
_EXAMPLE = """  clampdown export clampdown-studies/guarded-quick-0123456789
  clampdown export results --format inspect && inspect view --log-dir results/inspect"""


def add_parser(subparsers: Any) -> None:
    said = (
        "Write every answer of a study with its item, arm, prompt, label, judge, receipt, versions, seed and hashes: "
        "one Parquet table, one Inspect log an arm, or JSON. What an earlier export left in the study's folder is "
        "written anew."
    )
    parser = command(subparsers, "export", "write a study's answers as Parquet, Inspect logs or JSON", said, _EXAMPLE)
    parser.add_argument("study", metavar="STUDY", type=Path, help="a study's folder or database")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"(default: {FORMATS[0]})")
    parser.add_argument(
        "--out",
        metavar="PATH",
        type=out_path,
        help="file, or folder for inspect (default: in the study's; json: printed)",
    )
    add_force(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from clampdown.studies.record import as_json, read_record

    if args.format == "json" and args.out is None:
        print_json(as_json(read_record(args.study)))
        return 0
    record = read_record(args.study)
    beside = {"parquet": "answers.parquet", "inspect": "inspect", "json": ""}[args.format]
    out, force = args.out or record.path.parent / beside, args.force or args.out is None
    check_writable(out, "folder" if args.format == "inspect" else "file", force=force)
    if args.format == "inspect":
        from clampdown.studies.inspect_log import write_inspect_logs

        if not force and (there := sorted(out.glob(f"{glob.escape(record.name)}_*.eval"))):
            raise ClampdownError(f"{there[0]} is there already; name another --out, or replace it with --force")
        paths = write_inspect_logs(record, out)
        say(f"{len(paths)} logs in {out}\nnext: inspect view --log-dir {out}")
        return 0
    if args.format == "parquet":
        from clampdown.studies.parquet import write_parquet

        count = write_parquet(record, out)
    else:
        from clampdown.studies.record import write_json

        count = write_json(record, out)
    say(f"{count} answers in {out}")
    return 0
