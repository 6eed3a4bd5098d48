"""Which candidate of a run to build: a member of the front by what it is best at, or any by its id."""

from __future__ import annotations

import math

from codesign.errors import RunError
from codesign.place import PROGRAM, called
from codesign.record import Record
from codesign.run import Run
from nas.objectives import OBJECTIVES, Quantity

KNEE, LOWEST_ERROR, LOWEST_LATENCY = "knee", "lowest-error", "lowest-latency"
PICKS = (KNEE, LOWEST_ERROR, LOWEST_LATENCY)


def pick(run: Run, which: str) -> Record:
    """The candidate that ``which`` names: one of :data:`PICKS`, or the first digits of an id.

    ``knee`` is the front member nearest to the corner where every objective is at its best, with each objective scaled
    to its range on the front. Errors are those on the validation data: choosing by the test set would spoil it. Of
    equals the first in the front's order. RunError where there is no such candidate, or no RTL was made of it.
    """
    if which not in PICKS:
        return _by_id(run, which)
    if not run.front:
        raise RunError(f"{run.folder} has no front to pick from; see why with: {PROGRAM} show {called(run.folder)}")
    if which == KNEE:
        return run.front[_knee([run.objectives(record) for record in run.front])]
    quantity = OBJECTIVES["error" if which == LOWEST_ERROR else "latency"]
    return min(run.front, key=lambda record: _value(run, record, quantity))


def _knee(points: list[tuple[float, ...]]) -> int:
    lows, highs = ([side(column) for column in zip(*points, strict=True)] for side in (min, max))

    def distance(point: tuple[float, ...]) -> float:
        # an objective in which all are equal decides nothing
        scaled = [(v - low) / (high - low) for v, low, high in zip(point, lows, highs, strict=True) if high > low]
        return math.hypot(*scaled)

    return min(range(len(points)), key=lambda index: distance(points[index]))


def _by_id(run: Run, prefix: str) -> Record:
    found = [record for record in run.records if prefix and record.digest.startswith(prefix.lower())]
    if len(found) != 1:
        count = f"{len(found)} candidates begin with" if found else "no candidate"
        raise RunError(f"{count} {prefix!r} in {run.folder}; --pick takes {', '.join(PICKS)} or the digits of an id")
    if "rtl.json" not in found[0].artefacts:
        raise RunError(f"candidate {found[0].digest[:8]} has no RTL to build: {found[0].reason or found[0].status}")
    return found[0]


def _value(run: Run, record: Record, quantity: Quantity) -> float:
    assert record.measurement is not None
    return quantity.value(record.measurement, run.study.target.clock_mhz)
