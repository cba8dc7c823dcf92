"""`python -m clampdown` is the command `clampdown`."""

import sys

from clampdown.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
