"""Counts, and what arrays hold, in words."""

from __future__ import annotations

from typing import Any


def number_of(count: float, one: str, many: str = "") -> str:
    """``1 network``, ``2,000 networks``; ``many`` where that is more than ``one`` with an s."""
    return f"{count:,.0f} {noun(count, one, many)}"


def noun(count: float, one: str, many: str = "") -> str:
    """Only the word, where the number stands elsewhere."""
    return one if round(count) == 1 else many or f"{one}s"


def held(array: Any) -> str:
    """``text``, or ``complex128 values``: what a NumPy array holds."""
    return "text" if array.dtype.kind in "US" else f"{array.dtype} values"
