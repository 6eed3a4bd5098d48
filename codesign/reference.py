"""The reference point of a search's hypervolume."""

from __future__ import annotations

from collections.abc import Sequence

from codesign.judging import Judge
from codesign.record import Record
from codesign.task import Task
from nas.indicators import Point

_MARGIN = 1.1  # over the worst measured, for objectives without a limit


def reference_point(judge: Judge, task: Task, records: Sequence[Record]) -> Point | None:
    """From the candidates measured so far; None while there is none.

    Error: the majority class's. Limited objectives: the limit. Others: 1.1 times the worst measured.
    """
    measured = [record for record in records if record.status in ("ok", "infeasible")]
    known_errors = [one for one in measured if one.measurement and "val_error" in one.measurement.figures]
    points = [point for one in known_errors if (point := judge.point(one)) is not None]
    if not points:
        return None
    known = {limit.key: limit.limit for limit in judge.constraints}
    known["error"] = task.majority_error
    if "latency_us" in known:
        known["latency"] = known["latency_us"]
    if "fps" in known:
        known["interval"] = 1e6 / known["fps"]
    worst = [_MARGIN * max(column) for column in zip(*points, strict=True)]
    return tuple(known.get(name, bad) or 1.0 for name, bad in zip(judge.objectives, worst, strict=True))
