"""The command line: parse, hand over to the command, and turn errors into one line and an exit code.

Exit codes: 0 done, 2 something the user can mend, 130 stopped by Ctrl-C, 141 the reader of our output went away.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence

from clampdown import __version__
from clampdown.cli import interrupts, terminal
from clampdown.cli.parser import Parser
from clampdown.errors import ClampdownError


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command. Imports nothing heavy."""
    # Here, so that Ctrl-C is listened for while they load.
    from clampdown.cli import (
        attack,
        chat,
        explain,
        export,
        find,
        gate,
        judge,
        lm_eval,
        report,
        sae,
        serve,
        sets,
        show,
        study,
        train_sae,
        tune,
    )

    parser = Parser(
        prog="clampdown",
        description="Find the latents behind a model's refusals, clamp them, and measure what\nthe added safety costs.",
        epilog="example:\n  clampdown study        measure the default recipe, on the model that comes along",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"clampdown {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in (
        find,
        tune,
        gate,
        chat,
        serve,
        study,
        explain,
        report,
        export,
        attack,
        judge,
        lm_eval,
        sets,
        sae,
        show,
        train_sae,
    ):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    with interrupts.listening():
        args = None
        try:
            terminal.prepare()
            args = _parsed(argv)
            status = int(args.run(args))
            terminal.finish()
            return status
        except BaseException as error:
            return _ended(error, args)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser, argv = build_parser(), list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["help"]:
        argv = [*argv[1:], "--help"]
    args, unknown = parser.parse_known_args(argv)
    if hasattr(args, "rest"):  # a command that hands on what it does not know
        args.rest = unknown
    elif unknown:
        getattr(args, "parser", parser).error(f"unknown argument {unknown[0]!r}")
    if not args.command:
        parser.print_help(sys.stderr)
        parser.exit(2)
    return args


def _ended(error: BaseException, args: argparse.Namespace | None) -> int:
    """Tell in one line why a command ended early, and give its exit code; what is a fault of ours is raised again."""
    if isinstance(error, KeyboardInterrupt) or interrupts.arrived():  # whatever it became on its way to us
        interrupts.answered()
        return _failed(f"stopped{(args and args.parser.get_default('when_stopped')) or ''}", 130)
    if isinstance(error, SystemExit):
        with contextlib.suppress(OSError):
            terminal.finish()
        raise error
    if isinstance(error, ClampdownError):
        return _failed(str(error), 2)
    if isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):
            terminal.finish()  # what is still buffered must not be written when Python ends
        return 141
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}", 2)
    if isinstance(error, MemoryError):
        return _failed("out of memory; use a smaller model, a smaller batch or fewer items", 2)
    if isinstance(error, RecursionError):
        return _failed("a file is nested too deeply to be read; name one that is not", 2)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # what pathlib says of ~nobody/x
        return _failed("a path begins with ~ and a name that no user here has; write it out", 2)
    raise error


def _failed(message: str, status: int) -> int:
    with contextlib.suppress(OSError):
        terminal.finish()
    terminal.fail(message)
    return status


if __name__ == "__main__":
    sys.exit(main())
