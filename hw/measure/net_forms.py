"""Forms that the net delays of the timing model could have, and how one is chosen without the design it is judged by.

A form says what a net's delay depends on; two coefficients, base and slope, are fitted to it. The forms to choose among
were written down once, and so was the rule: the least root mean square of ln(predicted / routed) period, leave one out.
For an error that the choice had no part in, each design is left out in turn, form and coefficients are found with the
others alone, and only then is it predicted (nested leave-one-out: Cawley and Talbot, JMLR 11, 2010, section 5).
The size of a design is no part of that choice: that it is LUTs and registers was thought of after the errors of all
designs with LUTs alone had been seen (median 5.3 %, nine in ten within 9.3 %; with LUTs and half of the registers
6.0 % and 8.1 %), so the error is optimistic by that.

For a fixed form the period of a netlist is the largest of affine functions of base and slope, one for each of its
critical paths: they are found on a grid of coefficients once, and a fit then costs no more timing.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from hw.measure.delays import FANOUT_KNEE, SIZE_EXPONENT, SIZE_REFERENCE, DelayModel, size_factor
from hw.measure.timing import StaticTiming
from hw.measure.timing_graph import CARRY

Floats = npt.NDArray[np.float64]
_BASES, _SLOPES = np.geomspace(0.04, 1.6, 8), np.geomspace(0.002, 0.4, 8)
_STEP = 1e-6


@dataclass(frozen=True)
class NetForm:
    """``knee``: sink pins from which on delay grows with their logarithm. ``size_exponent``: with the design's size.

    ``sums_leave``: whether a carry's sum is routed to the register that it alone drives, or stays in its slice.
    """

    knee: float
    size_exponent: float
    sums_leave: bool

    def words(self) -> str:
        """The form on one line."""
        sums = "routed" if self.sums_leave else "in the slice"
        return f"knee at {self.knee:g} pins, size^{self.size_exponent:g}, sums into registers {sums}"


SHIPPED = NetForm(FANOUT_KNEE, SIZE_EXPONENT, True)
FORMS = tuple(itertools.starmap(NetForm, itertools.product((1, 8, 32), (0.0, 0.1, 0.25, 0.4, 0.5), (True, False))))
"""Sizes: mean wire length N ** (p - 1/2) for Rent exponents p from 0.5 to 1 (Donath 1979)."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One routed design: ``model`` has the cell delays of its part.

    ``at_most``: it met its clock and was not asked for a faster one, so ``period_ns`` is only a bound.
    """

    name: str
    period_ns: float
    timing: StaticTiming
    model: DelayModel
    at_most: bool = False

    def predict(self, form: NetForm, coefficients: Floats) -> float:
        """The period in ns with these net coefficients (base, slope)."""
        base, slope = coefficients * size_factor(self.timing.graph.size, form.size_exponent)
        return float((_paths(self, form.knee, form.sums_leave) @ (1.0, base, slope)).max())

    def deviation(self, form: NetForm, coefficients: Floats) -> float:
        """ln(predicted / routed) period; of a bound, how far the prediction contradicts it."""
        deviation = float(np.log(self.predict(form, coefficients) / self.period_ns))
        return max(0.0, deviation) if self.at_most else deviation


@cache
def _paths(sample: Sample, knee: float, sums_leave: bool) -> Floats:
    """Critical paths (n, 3): ns in cells, nets, and effective sink pins of these nets."""
    timing = sample.timing if sums_leave else _with_sums_in_slice(sample.timing)
    unscaled = replace(sample.model, size=SIZE_REFERENCE, knee=knee)

    def period(base: float, slope: float) -> float:
        return timing.period(replace(unscaled, net_base=base, net_per_fanout=slope))

    found = []
    for base, slope in itertools.product(_BASES, _SLOPES):
        at = period(base, slope)
        nets, pins = (period(base + _STEP, slope) - at) / _STEP, (period(base, slope + _STEP) - at) / _STEP
        found.append((at - nets * base - pins * slope, nets, pins))
    return np.unique(np.round(found, 4), axis=0)


def _with_sums_in_slice(timing: StaticTiming) -> StaticTiming:
    """The same netlist, with registers in the slice of the carry sum that they alone take."""
    graph, changed = timing.graph, copy.copy(timing)
    names = {node: key for key, node in graph.node_of.items() if isinstance(key, int)}

    def stays(node: int) -> bool:
        bit = names.get(node)
        if bit is None or bit not in graph.driver:
            return False
        cell, pin = graph.driver[bit]
        return pin == "O" and bool(CARRY.match(graph.cells[cell]["type"])) and graph.fanout(bit) == 1

    inside = [not end.control and stays(end.node) for end in graph.ends]
    changed.end_routed = timing.end_routed & ~np.array(inside)
    return changed


def fit(samples: Sequence[Sample], form: NetForm = SHIPPED, start: Iterable[float] = (0.3, 0.06)) -> Floats:
    """Base and slope (ns) with the least squared logarithm of predicted over routed period; both kept positive."""
    from scipy.optimize import minimize

    def cost(logarithms: Floats) -> float:
        coefficients = np.exp(logarithms)
        return float(sum(sample.deviation(form, coefficients) ** 2 for sample in samples))

    options = {"xatol": 2e-3, "fatol": 1e-5, "maxiter": 120}
    found = minimize(cost, np.log(list(start)), method="Nelder-Mead", options=options)
    coefficients: Floats = np.exp(found.x)
    return coefficients


class Choice:
    """Chooses among forms by leave-one-out; fits of the same designs are made once."""

    def __init__(self, samples: Sequence[Sample], forms: Sequence[NetForm] = FORMS) -> None:
        self.samples = tuple(samples)
        self.forms = tuple(forms)
        self._fits: dict[tuple[NetForm, frozenset[Sample]], Floats] = {}

    def fitted(self, form: NetForm, without: frozenset[Sample]) -> Floats:
        """Coefficients of all samples but these."""
        key = form, without
        if key not in self._fits:
            self._fits[key] = fit([sample for sample in self.samples if sample not in without], form)
        return self._fits[key]

    def score(self, form: NetForm, without: frozenset[Sample] = frozenset()) -> float:
        """Root mean square of ln(predicted / routed), each of all samples but these left out in turn."""
        kept = [sample for sample in self.samples if sample not in without]
        left = [sample.deviation(form, self.fitted(form, without | {sample})) for sample in kept]
        return float(np.sqrt(np.mean(np.square(left))))

    def best(self, without: frozenset[Sample] = frozenset()) -> NetForm:
        """The form with the least score; of equal ones the first."""
        return min(self.forms, key=lambda form: self.score(form, without))

    def nested(self) -> dict[Sample, tuple[NetForm, float]]:
        """Of each sample the form chosen without it, and the period (ns) then predicted."""
        found = {}
        for sample in self.samples:
            alone = frozenset({sample})
            form = self.best(alone)
            found[sample] = form, sample.predict(form, self.fitted(form, alone))
        return found
