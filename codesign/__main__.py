"""``python -m codesign``: the command line."""

from __future__ import annotations

import sys

from codesign.cli import main

if __name__ == "__main__":  # worker processes may import this module again
    sys.exit(main())
