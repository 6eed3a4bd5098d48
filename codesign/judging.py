"""Judging: a candidate's status, objectives and violations, from the figures that are known of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codesign.budget import misses
from codesign.measurement import Measurement
from codesign.record import SHORT_ERROR, Record
from nas.algorithm import Told, failed
from nas.indicators import Point
from nas.objectives import OBJECTIVES, Constraint, values, violations

_BEHIND = 1e-3
"""Of how far a dropped candidate stayed behind: to miss a budget by more than 0.1 % is worse than to be dropped."""


@dataclass(frozen=True)
class Judge:
    """What a study asks of its candidates."""

    objectives: Sequence[str]
    constraints: Sequence[Constraint]
    clock_mhz: float

    def judged(self, record: Record, prefix: str = "") -> Record:
        """The record with the status that its figures deserve; ``prefix`` begins the reason of an infeasible one."""
        if record.status == "failed":
            return record
        if record.status == "ok" and (lacking := self.lacking(record)):
            return replace(record, status="failed", reason=f"not measured, or no number: {', '.join(lacking)}")
        missed = misses(self.constraints, record, self.clock_mhz)
        if not missed:
            return record
        return replace(record, status="infeasible", reason=prefix + "; ".join(miss.words() for miss in missed))

    def lacking(self, record: Record) -> list[str]:
        """Figures without which a record cannot be compared."""
        needed = [OBJECTIVES[name].figure for name in self.objectives]
        needed += [limit.figure for limit in self.constraints]
        figures = record.measurement.figures if record.measurement else {}
        return sorted({name for name in needed if name not in figures or not math.isfinite(figures[name].value)})

    def over(self, measurement: Measurement) -> bool:
        """Whether a measurement, or a lower bound, already misses a budget."""
        return bool(self.missed(measurement))

    def missed(self, measurement: Measurement) -> list[str]:
        """The keys of the budgets that a measurement, or a lower bound, already misses."""
        found = violations(self.constraints, measurement, self.clock_mhz, partial=True)
        return [key for key, violation in found.items() if violation > 0]

    def point(self, record: Record) -> Point | None:
        """The record's objectives; None where one was not measured."""
        if record.measurement is None:
            return None
        try:
            return values(self.objectives, record.measurement, self.clock_mhz)
        except KeyError:
            return None

    def told(self, record: Record) -> Told:
        """What the search algorithm learns of a candidate.

        Of a dropped one that was trained in full its error and the hardware that is predicted of it, where all is.
        """
        if record.status == "failed" or record.measurement is None:
            return failed(len(self.constraints))
        supposed = record.status == "dropped" and self.point(record) is not None
        if record.status == "dropped" and not supposed:
            behind = _BEHIND * record.measurement.figures[SHORT_ERROR].details["behind"]
            seem = violations(self.constraints, record.measurement, self.clock_mhz, partial=True)
            first, *others = (max(seem.get(limit.key, 0.0), 0.0) for limit in self.constraints)
            return Told(None, (first + behind, *others))
        known = violations(self.constraints, record.measurement, self.clock_mhz, partial=record.status != "ok")
        told = Told(self.point(record), tuple(known.get(limit.key, 0.0) for limit in self.constraints))
        if record.status == "infeasible" and max(told.violations) <= 0:
            return failed(len(self.constraints))  # infeasible for a reason that no budget expresses
        return told
