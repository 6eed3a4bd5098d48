"""Budgets: from shares and counts to absolute limits, and what misses them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from codesign.errors import TargetError
from codesign.fmax_trust import fmax_caveat
from codesign.measurement import Provenance
from codesign.record import Record
from codesign.schema import BudgetSection
from codesign.target import RESOURCES, Target
from nas.objectives import Constraint, violations

ALWAYS_USED = ("lut", "ff")


def limits(budget: BudgetSection, target: Target) -> dict[str, float]:
    """Absolute limits of a study on its part; a resource without a budget is limited by what the part has.

    Raises TargetError for a budget above what the part has, and for one that no network keeps.
    """
    found: dict[str, float] = {}
    for key in RESOURCES:
        total = target.part.resources[key]
        wanted = getattr(budget, key)
        if isinstance(wanted, str):
            wanted = total * float(wanted.removesuffix("%")) / 100.0
        elif wanted is not None and wanted > total:
            raise TargetError(f"budget.{key} = {wanted} is more than the {total:,} of {target.part.name}; lower it")
        found[key] = float(total if wanted is None else wanted)
        if key in ALWAYS_USED and found[key] < 1:
            given = getattr(budget, key)
            raise TargetError(f"budget.{key} = {given} allows none, and every network takes some; raise it")
    if budget.latency_us is not None:
        found["latency_us"] = budget.latency_us
        if budget.latency_us < target.period_ns / 1000.0:
            raise TargetError(
                f"budget.latency_us = {budget.latency_us:g} is less than one clock cycle at {target.clock_mhz:g} MHz; "
                "raise it or target.clock_mhz"
            )
    if budget.fps is not None:
        found["fps"] = budget.fps
        if budget.fps > 1e6 * target.clock_mhz:
            raise TargetError(
                f"budget.fps = {budget.fps:g} is more than one inference per clock cycle at {target.clock_mhz:g} MHz; "
                "lower it or raise target.clock_mhz"
            )
    return found


@dataclass(frozen=True)
class Miss:
    """A constraint that a candidate does not keep."""

    constraint: Constraint
    value: float
    violation: float
    provenance: str
    caveat: str = ""

    def words(self) -> str:
        """One clause, e.g. ``lut: 14,000 LUT, 5.3 % over the budget of 13,300``."""
        limit = self.constraint
        if limit.key == "clock":
            fmax = math.floor(10 * self.value) / 10  # rounded up it could read as the clock asked for
            caveat = f", {self.caveat}," if self.caveat else ""
            text = f"clock: {self.provenance} Fmax {fmax:.1f} MHz{caveat} is under the study's {limit.limit:g}"
        elif limit.sense == "at least":
            text = f"{limit.key}: {self.value:,.0f} {limit.unit}, {_percent(self)} under the budget of {limit.limit:,g}"
        else:
            digits = ",.2f" if limit.cycles else ",.0f"
            over = f"{_percent(self)} over" if limit.limit > 0 else "over"
            text = f"{limit.key}: {self.value:{digits}} {limit.unit}, {over} the budget of {limit.limit:,g}"
        return text


def misses(limits: Sequence[Constraint], record: Record, clock_mhz: float) -> list[Miss]:
    """What a record misses, the worst first; nothing of one that failed or was dropped."""
    if record.measurement is None or record.status in ("failed", "dropped"):
        return []
    measured = record.measurement
    found = violations(limits, measured, clock_mhz, partial=record.status == "infeasible")
    missed = [_miss(limit, found[limit.key], record, clock_mhz) for limit in limits if found.get(limit.key, 0.0) > 0]
    return sorted(missed, key=lambda miss: -miss.violation)


def _miss(limit: Constraint, violation: float, record: Record, clock_mhz: float) -> Miss:
    assert record.measurement is not None
    figure = record.measurement.figures[limit.figure]
    modelled = limit.key == "clock" and figure.provenance is Provenance.MODELLED
    caveat = fmax_caveat(figure, record.architecture.hardware.mode) if modelled else ""
    return Miss(limit, limit.value(record.measurement, clock_mhz), violation, figure.provenance.value, caveat)


def binding(limits: Sequence[Constraint], records: Sequence[Record], clock_mhz: float) -> str | None:
    """The key of the limit that most candidates miss; None when none is missed."""
    counts = Counter(miss.constraint.key for record in records for miss in misses(limits, record, clock_mhz))
    return min(counts, key=lambda key: (-counts[key], key)) if counts else None


def nearest_miss(
    limits: Sequence[Constraint], records: Sequence[Record], clock_mhz: float
) -> tuple[Record, list[Miss]] | None:
    """The infeasible candidate that misses least (in all its limits together), with what it misses."""
    found = [(record, misses(limits, record, clock_mhz)) for record in records]
    found = [(record, missed) for record, missed in found if missed]
    # a lower bound hides what measuring would add, so measured candidates come first
    return min(
        found,
        key=lambda pair: ("val_error" not in _figures(pair[0]), sum(miss.violation for miss in pair[1])),
        default=None,
    )


def _figures(record: Record) -> frozenset[str]:
    return frozenset(record.measurement.figures) if record.measurement else frozenset()


def _percent(miss: Miss) -> str:
    if miss.constraint.sense == "at least":
        return f"{100.0 * (1.0 - miss.value / miss.constraint.limit):.1f} %"
    return f"{100.0 * miss.violation:,.{0 if miss.violation >= 1.0 else 1}f} %"
