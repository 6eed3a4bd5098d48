"""What a search algorithm is told of a candidate; apart from the algorithms, which take long to import."""

from __future__ import annotations

from dataclasses import dataclass

FAILED_VIOLATION = 1e6
"""Constraint violation of a candidate that could not be measured: behind every one that merely misses a budget."""


@dataclass(frozen=True)
class Told:
    """What NSGA-II learns of one candidate: objectives (small is good) and constraint violations (kept when <= 0).

    ``objectives`` is None for a candidate that was not measured; its violations must then not be all kept.
    """

    objectives: tuple[float, ...] | None
    violations: tuple[float, ...]


def failed(constraints: int) -> Told:
    """What is told of a candidate that could not be measured at all."""
    return Told(None, (FAILED_VIOLATION,) * constraints)
