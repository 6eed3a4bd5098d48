"""Where things are: the program and its runs in commands, and our five packages, whose names are general."""

from __future__ import annotations

import os
import shlex
from importlib.util import find_spec
from pathlib import Path

from codesign.errors import InputError

PROGRAM = os.environ.get("CODESIGN_PROGRAM", "python -m codesign")
"""How the command line was started, for messages that say what to type; ``scripts/codesign`` sets it."""
ROOT = Path("runs")
"""Where runs are, below the current folder."""
PACKAGES = ("codesign", "quant", "hw", "nas", "boards")


def called(folder: Path) -> str:
    """What a command that someone is to type calls the run in ``folder``: its name, elsewhere its path."""
    return shlex.quote(folder.name if folder.absolute().parent == ROOT.absolute() else str(folder.absolute()))


def require_one_place() -> None:
    """Raise InputError naming the package that would be imported from somewhere else than ``codesign``."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None:
            raise InputError(
                f"the package {name!r} is missing beside {home / 'codesign'}; install or clone codesign anew"
            )
        found = [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or "?"]]
        if found != [home / name]:
            raise InputError(
                f"another {name!r} stands before codesign's own: {found[0]} instead of {home / name}; "
                "leave its folder, or take it off PYTHONPATH (scripts/codesign does both)"
            )
