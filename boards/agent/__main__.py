"""The agent of a real board: ``python -m`` this package, as the command that ssh runs."""

from __future__ import annotations

import sys

from .fabric_pynq import PynqFabric
from .server import main
from .store import FOLDER

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PynqFabric(), FOLDER))
