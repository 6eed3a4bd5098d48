"""Versions of what a board's image has: which go together, told by their numbers alone."""

from __future__ import annotations


def major(version: str | None) -> int:
    """The first number of a version; 0 where there is none."""
    first = (version or "0").split(".")[0]
    return int(first) if first.isdecimal() else 0


def reads_hwh(pynq: str | None, pycparser: str | None) -> bool:
    """Whether this pynq can read .hwh files with this pycparser: those before 4.0 cannot with 3 or newer."""
    return major(pycparser) < 3 or major(pynq) >= 4
