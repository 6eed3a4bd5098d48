"""Runs one Yosys script with the pyosys wheel: a failing command may end the process, so it is a child's."""

from __future__ import annotations

import sys


def main() -> None:
    """``yosys_child.py SCRIPT``."""
    from pyosys import libyosys

    libyosys.run_pass(f"script {sys.argv[1]}", libyosys.Design())


if __name__ == "__main__":
    # this file's folder would otherwise come first on the path and shadow nothing we want
    sys.path.pop(0)
    main()
