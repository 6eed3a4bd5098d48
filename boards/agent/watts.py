"""Readings of power, idle and at work, as one figure that says what it cannot resolve; for rails and meters alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

Reading = tuple[float, ...]
"""Watts, or volts and amperes."""
STEPS = 3
"""A difference below so many steps of the sensor, or of its own standard error, is not told from none."""
_SAME = 1e-6


def compared(idle: Sequence[Reading], busy: Sequence[Reading]) -> dict[str, Any]:
    """Means, their difference, and what stands against it; both spans have at least one reading.

    ``step_w``: the least by which two readings differ; of volts and amperes, that of their product. None where all were
    equal. It is never less than the sensor's own, and more where few values were seen. ``samples`` were read in each
    span, but a sensor that is read faster than it measures repeats itself: ``distinct`` counts those that differ from
    the one before, and ``error_w``, the standard error of the difference, takes no more than those for independent.
    """
    waiting, working = ([math.prod(reading) for reading in span] for span in (idle, busy))
    before, after = sum(waiting) / len(waiting), sum(working) / len(working)
    distinct = [_distinct(idle), _distinct(busy)]
    error = math.sqrt(sum(_variance(span) / count for span, count in zip((waiting, working), distinct, strict=True)))
    step = _step([*idle, *busy])
    difference = after - before
    return {
        "idle_w": before,
        "busy_w": after,
        "difference_w": difference,
        "step_w": step,
        "error_w": error,
        "samples": [len(idle), len(busy)],
        "distinct": distinct,
        "below_resolution": step is None or abs(difference) < STEPS * max(step, error),
    }


def _step(readings: Sequence[Reading]) -> float | None:
    """Of each factor times the mean of the other, added: products of two coarse factors lie close by chance alone."""
    columns = list(zip(*readings, strict=True))
    steps = [_least(column) for column in columns]
    if all(step is None for step in steps):
        return None
    means: list[float] = [sum(column) / len(column) for column in columns]
    others = [math.prod(means[:i] + means[i + 1 :]) for i in range(len(means))]
    return math.fsum((step or 0.0) * abs(other) for step, other in zip(steps, others, strict=True))


def _least(values: Sequence[float]) -> float | None:
    """The least difference of two values; what binary fractions add to decimal ones is none."""
    gaps = [high - low for low, high in itertools.pairwise(sorted(set(values))) if high - low > _SAME]
    return min(gaps, default=None)


def _distinct(readings: Sequence[Reading]) -> int:
    return 1 + sum(one != other for one, other in itertools.pairwise(readings))


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
