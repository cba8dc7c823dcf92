"""The parser of the command line: wrong arguments give one line, with what was perhaps meant."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from clampdown.cli import terminal


class Parser(argparse.ArgumentParser):
    """Wrong arguments give one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        terminal.fail(f"{message}; see {self.prog} --help")
        self.exit(2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, but an option that does not exist is told before what comes of it is."""
        given = sys.argv[1:] if args is None else list(args)
        self._check_options(given)
        return super().parse_known_args(given, namespace)

    def _check_options(self, given: Sequence[str]) -> None:
        if self.get_default("rest") is not None:  # a command that hands on what it does not know
            return
        for arg in given:
            if arg == "--" or (self._subparsers is not None and not arg.startswith("-")):
                return  # text, or a command of its own
            name = arg.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                self.error(f"unknown argument {name!r}{perhaps(name, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f"invalid choice: {value!r}{perhaps(str(value), known)} (choose from {', '.join(known)})"
            )


def perhaps(word: str, known: Iterable[str]) -> str:
    """A question that names what is spelt like a word, or nothing."""
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f": did you mean {close[0]}?" if close else ""
