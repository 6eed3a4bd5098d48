"""Objectives and constraints: plain functions of a candidate's measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from codesign.measurement import Figure, Measurement


def source(measurement: Measurement, figure: str) -> Figure:
    """The figure that stands for ``latency_cycles`` or ``interval_cycles``, and for any other the figure itself.

    Where boards take part there are better ones: the time on a board (``latency_us``), else the cycles of the whole
    accelerator with its frames (``accelerator_latency_cycles``). KeyError where there is none.
    """
    time, whole = f"{figure.removesuffix('_cycles')}_us", f"accelerator_{figure}"
    names = (time, whole, figure) if figure.endswith("_cycles") else (figure,)
    return measurement.figures[next((name for name in names if name in measurement.figures), figure)]


def cycles_of(measurement: Measurement, figure: str, clock_mhz: float) -> float:
    """Cycles at ``clock_mhz`` of ``latency_cycles`` or ``interval_cycles``, from what :func:`source` gives."""
    found = source(measurement, figure)
    return found.value * clock_mhz if found.unit == "us" else found.value


@dataclass(frozen=True)
class Quantity:
    """A number read from a measurement; ``cycles`` quantities are shown as time at the study's clock."""

    name: str
    figure: str
    unit: str
    cycles: bool = False

    def value(self, measurement: Measurement, clock_mhz: float) -> float:
        """The number in ``unit``; KeyError where the figure was not measured."""
        if not self.cycles:
            return measurement.value(self.figure)
        return cycles_of(measurement, self.figure, clock_mhz) / clock_mhz

    def words(self, value: float) -> str:
        """A value in ``unit`` for reading, without it: counts in full, times and shares to four digits."""
        if self.cycles or self.unit == "%":
            return f"{value:.4g}" if abs(value) < 999.95 else f"{value:,.0f}"
        return f"{value:,.1f}".removesuffix(".0")  # half a block RAM


OBJECTIVES: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("error", "val_error", ""),
        Quantity("latency", "latency_cycles", "us", cycles=True),
        Quantity("interval", "interval_cycles", "us", cycles=True),
        Quantity("lut", "lut", "LUT"),
        Quantity("ff", "ff", "FF"),
        Quantity("bram", "bram", "BRAM36"),
        Quantity("dsp", "dsp", "DSP"),
        Quantity("share", "largest_share", "%"),
        Quantity("parameters", "parameters", ""),
        Quantity("bit_operations", "bit_operations", ""),
        Quantity("toggles", "toggles", "toggles per inference"),
        Quantity("weight_flips", "weight_flips_error", ""),
        Quantity("input_noise", "input_noise_error", ""),
    )
}
"""What a study may minimise. Every objective is to be made small."""
ERRORS = ("error", "weight_flips", "input_noise")
"""Objectives that are errors of the network."""


@dataclass(frozen=True)
class Constraint:
    """A limit that a candidate must keep; ``key`` is the budget's key, or ``clock``."""

    key: str
    sense: Literal["at most", "at least"]
    limit: float
    unit: str
    figure: str
    cycles: bool = False

    def value(self, measurement: Measurement, clock_mhz: float) -> float:
        """The candidate's number, in the unit of the limit."""
        if not self.cycles:
            return measurement.value(self.figure)
        cycles = cycles_of(measurement, self.figure, clock_mhz)
        return cycles / clock_mhz if self.sense == "at most" else 1e6 * clock_mhz / cycles

    def violation(self, measurement: Measurement, clock_mhz: float) -> float:
        """How far the limit is missed, relative to it; zero or less where it is kept."""
        value = self.value(measurement, clock_mhz)
        if self.sense == "at least":
            return self.limit / value - 1.0 if value > 0 else 1e6
        return value / self.limit - 1.0 if self.limit > 0 else value


def constraints(limits: Mapping[str, float], clock_mhz: float) -> tuple[Constraint, ...]:
    """The constraints of a study: its absolute budget limits, and a clock that the design can reach."""
    found = [
        Constraint(key, "at most", limits[key], unit, key)
        for key, unit in (("lut", "LUT"), ("ff", "FF"), ("bram", "BRAM36"), ("dsp", "DSP"))
        if key in limits
    ]
    if "latency_us" in limits:
        found.append(Constraint("latency_us", "at most", limits["latency_us"], "us", "latency_cycles", cycles=True))
    if "fps" in limits:
        found.append(Constraint("fps", "at least", limits["fps"], "per second", "interval_cycles", cycles=True))
    return (*found, Constraint("clock", "at least", clock_mhz, "MHz", "fmax"))


def violations(
    limits: Sequence[Constraint], measurement: Measurement, clock_mhz: float, *, partial: bool = False
) -> dict[str, float]:
    """Relative violation of every constraint; ``partial`` leaves out figures that a lower bound does not have."""
    return {
        limit.key: limit.violation(measurement, clock_mhz)
        for limit in limits
        if not partial or limit.figure in measurement.figures
    }


def values(objectives: Sequence[str], measurement: Measurement, clock_mhz: float) -> tuple[float, ...]:
    """The objectives of one candidate, in the study's order."""
    return tuple(OBJECTIVES[name].value(measurement, clock_mhz) for name in objectives)
