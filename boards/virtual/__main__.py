"""The agent of a virtual board: ``python -m`` this package, with the board as JSON and the agent's folder."""

from __future__ import annotations

import json
import sys

from ..agent.server import main
from .fabric import VirtualFabric
from .hardware import Hardware

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], VirtualFabric(Hardware(**json.loads(sys.argv[1]))), ""))
