"""The command `clampdown`, also `python -m clampdown`: what a Ctrl-C stops before anything of it is loaded."""

import sys


def main() -> int:
    """Run the command that was typed and return its exit code."""
    try:
        from clampdown.cli.main import main as command

        return command()
    except KeyboardInterrupt:  # before the command listens for it
        sys.stderr.write("clampdown: stopped\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
