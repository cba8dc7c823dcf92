"""The command line: parse, hand over to the command, and turn errors into one line and an exit code.

Exit codes: 0 done, 2 something the user can mend, 130 stopped by Ctrl-C, 141 the reader of our output went away.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from clampdown import __version__
from clampdown.cli import attack, chat, export, find, judge, lm_eval, report, sae, sets, show, study, train_sae
from clampdown.errors import ClampdownError


class Parser(argparse.ArgumentParser):
    """Wrong arguments give one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"clampdown: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command. Imports nothing heavy."""
    parser = Parser(
        prog="clampdown",
        description="Find the latents behind a model's refusals, clamp them, and measure what\nthe added safety costs.",
        epilog="example:\n  clampdown study        measure the recipe that comes along, on the model that comes along",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"clampdown {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in (find, chat, study, report, export, attack, judge, lm_eval, sets, sae, show, train_sae):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter is no reason to fail
    parser = build_parser()
    args, unknown = parser.parse_known_args(argv)
    if hasattr(args, "rest"):  # a command that hands on what it does not know
        args.rest = unknown
    elif unknown:
        getattr(args, "parser", parser).error(f"unknown argument {unknown[0]!r}")
    if not args.command:
        parser.print_help(sys.stderr)
        return 2
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        status = args.run(args)
        sys.stdout.flush()
        return int(status)
    except ClampdownError as error:
        return _say(str(error), 2)
    except KeyboardInterrupt:
        return _say(f"stopped{args.parser.get_default('when_stopped') or ''}", 130)
    except BrokenPipeError:
        # What is still buffered must not be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(f"{place}{error.strerror or error}", 2)
    except MemoryError:
        return _say("out of memory; use a smaller model, a smaller batch or fewer items", 2)


def _say(message: str, status: int) -> int:
    print("clampdown:", " ".join(message.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
