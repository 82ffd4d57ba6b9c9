"""``python -m steadyhand``: the same as the ``steadyhand`` command."""

import sys

from steadyhand.cli import main

if __name__ == "__main__":
    sys.exit(main())
