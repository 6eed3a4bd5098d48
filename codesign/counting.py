"""Counts in words."""

from __future__ import annotations


def number_of(count: float, one: str, many: str = "") -> str:
    """``1 network``, ``2,000 networks``; ``many`` where that is more than ``one`` with an s."""
    return f"{count:,.0f} {one if round(count) == 1 else many or f'{one}s'}"
