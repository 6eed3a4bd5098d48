"""Which candidates a board measures next."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from codesign.record import Record

_FIGURES = ("latency_cycles", "interval_cycles", "lut", "ff", "fmax")
_Place = tuple[float, ...]


def choose(
    candidates: Sequence[Record], front: Sequence[Record], measured: Collection[str], count: int
) -> list[Record]:
    """At most ``count`` candidates that are not among the ``measured`` digests, the most useful first.

    Half of them (rounded up) are members of the front, as those are what the search is for. The others are any that
    keep every budget, where the models are trusted least: a correction is one ratio for all candidates, and what it
    hides is largest where nothing alike was measured. Within both halves the one farthest from all that are measured
    or chosen comes first. Distance is that of the logarithms of latency, interval, LUT, FF and Fmax as they are
    known, each scaled to its range over all that keep every budget. Where one half has too few, the other has
    more. Equals come in the order given, so the same candidates give the same choice.
    """
    feasible = [record for record in candidates if record.status == "ok"]
    places = dict(zip((record.digest for record in feasible), _places(feasible), strict=True))
    near = [places[digest] for digest in measured if digest in places]
    open_front = [record for record in front if record.digest not in measured]
    chosen: list[Record] = []

    def take(pool: Sequence[Record], most: int) -> None:
        left = [record for record in pool if record not in chosen]
        while left and most > 0:
            best = max(left, key=lambda record: min((math.dist(places[record.digest], at) for at in near), default=0.0))
            left.remove(best)
            chosen.append(best)
            near.append(places[best.digest])
            most -= 1

    take(open_front, math.ceil(count / 2))
    take([record for record in feasible if record.digest not in measured], count - len(chosen))
    return chosen


def _places(records: Sequence[Record]) -> list[_Place]:
    """A point for each record, every coordinate from 0 to 1."""
    columns = []
    for name in _FIGURES:
        values = [_logarithm(record, name) for record in records]
        low, high = min(values, default=0.0), max(values, default=0.0)
        columns.append([(value - low) / (high - low) if high > low else 0.0 for value in values])
    return list(zip(*columns, strict=True))


def _logarithm(record: Record, name: str) -> float:
    assert record.measurement is not None
    figure = record.measurement.figures.get(name)
    return math.log(max(figure.value, 1.0)) if figure is not None else 0.0
