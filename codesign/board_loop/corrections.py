"""Corrections: what boards and routed designs of some candidates say of the figures of all others.

A figure's correction is one ratio, measured over predicted, for all candidates that were not measured. Figures in the
store stay as they were measured: a correction is applied when a run is read, and says so in the figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from codesign.counting import number_of
from codesign.deployment.figures import CLOCK_TOLERANCE
from codesign.derived import largest_share
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import RESOURCES
from nas.objectives import cycles_of

PRIOR_SPREAD = 0.25
"""Standard deviation of ln(measured / predicted) that is expected before anything was measured: about 28 %."""
_TO_DEVIATION = math.sqrt(math.pi / 2)  # a normal distribution's standard deviation over its mean absolute one
_FEWEST = 3  # from how many ratios their own spread is known
_CLOCK_DIGITS = 3  # of a clock that is not what it should be: measured twice, it would differ in the next
_TIME_DIGITS = 9  # less than what binary fractions leave, so that equal numbers of cycles stay equal times
TIMES: Mapping[str, str] = {"latency_us": "latency_cycles", "interval_us": "interval_cycles"}
_WHERE = {
    Provenance.ON_BOARD: "on boards",
    Provenance.ROUTED: "routed",
    Provenance.SIMULATED: "on virtual boards",
}
_RANK = {Provenance.ON_BOARD: 2, Provenance.ROUTED: 2, Provenance.SIMULATED: 1}


@dataclass(frozen=True)
class Fit:
    """A ratio, and how far predictions are off (median relative error) without it and with it, leave one out."""

    ratio: float = 1.0
    samples: int = 0
    error_before: float = 0.0
    error: float = 0.0


def fit(pairs: Sequence[tuple[float, float]]) -> Fit:
    """The ratio that brings predictions near what was measured; ``pairs`` of both, all above 0, in any order.

    In logarithms: the median of the ratios, times a weight that draws it towards 1. The weight is that of a mean of n
    against a prior of mean 0 and standard deviation :data:`PRIOR_SPREAD`: ``n P^2 / (n P^2 + s^2)``. ``s`` is the
    spread of the ratios (from their mean absolute deviation, which one wild value does not rule); of fewer than three
    it is taken to be ``P``. So a ratio that all agree on is taken whole from three candidates on, one candidate alone
    moves half the way, and ratios that contradict each other move little.
    """
    if not pairs:
        return Fit()
    assert all(predicted > 0 and measured > 0 for predicted, measured in pairs)
    ratios = sorted(math.log(measured / predicted) for predicted, measured in pairs)
    without = [_shrunk(ratios[:place] + ratios[place + 1 :]) for place in range(len(ratios))]
    left = [abs(math.expm1(other - own)) for own, other in zip(ratios, without, strict=True)]
    before = [abs(math.expm1(-own)) for own in ratios]
    return Fit(math.exp(_shrunk(ratios)), len(ratios), median(before), median(left))


def _shrunk(ratios: Sequence[float]) -> float:
    count = len(ratios)
    if not count:
        return 0.0
    centre, spread = median(ratios), PRIOR_SPREAD
    if count >= _FEWEST:
        spread = _TO_DEVIATION * math.fsum(abs(ratio - centre) for ratio in ratios) / count
    return centre * count * PRIOR_SPREAD**2 / (count * PRIOR_SPREAD**2 + spread**2)


@dataclass(frozen=True)
class Correction:
    """The fit of one figure, and how that which it was fitted to came to be."""

    fit: Fit
    provenance: Provenance

    def words(self) -> str:
        """What a corrected figure says of itself."""
        return f"ratio {self.fit.ratio:.4g} of {number_of(self.fit.samples, 'candidate')} {self.where()}"

    def where(self) -> str:
        """What it was fitted to."""
        return _WHERE[self.provenance]

    def applied(self, figure: Figure) -> Figure:
        """The figure times the ratio, marked; the old value and how it came to be stay in the details."""
        details = {
            "corrected_by": self.words(),
            "n": self.fit.samples,
            "error": self.fit.error,
            "uncorrected": figure.value,
            "was": figure.provenance.value,
        }
        value = figure.value * self.fit.ratio
        return replace(figure, value=value, provenance=Provenance.CORRECTED, details={**figure.details, **details})


@dataclass(frozen=True)
class Corrections:
    """Corrections by figure, and each measured candidate's own figures by its digest; falsy where there are none."""

    clock_mhz: float
    fits: Mapping[str, Correction] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.own)

    def applied(self, measurement: Measurement, digest: str | None = None) -> Measurement:
        """The measurement as it is known now: the candidate's own figures, else corrected ones."""
        own = self.own.get(digest, {}) if digest is not None else {}
        figures = dict(measurement.figures)
        for name, found in predictions(measurement, self.clock_mhz).items():
            if name in self.fits:
                figures[name] = _rounded(name, self.fits[name].applied(found))
        figures |= own
        share = figures.get("largest_share")
        if share is not None and "of" in share.details:  # it follows from the counts
            figures["largest_share"] = largest_share(figures, share.details["of"])
        return Measurement(figures)


def predictions(measurement: Measurement, clock_mhz: float) -> dict[str, Figure]:
    """What the search predicts of the quantities that boards and routed designs show: times in us, counts, Fmax."""
    figures = measurement.figures
    found = {name: figures[name] for name in (*RESOURCES, "fmax") if name in figures}
    for name, cycles in TIMES.items():
        if cycles in figures:
            whole = figures.get(f"accelerator_{cycles}", figures[cycles])
            found[name] = replace(whole, value=cycles_of(measurement, cycles, clock_mhz) / clock_mhz, unit="us")
    return found


def observations(measurement: Measurement) -> dict[str, Figure]:
    """The same quantities, as a board or a routed design showed them; counts are of the accelerator alone.

    How exactly a board measures its clock must not order candidates. So times are of the frequency that its register
    says where that is right (within :data:`CLOCK_TOLERANCE`), and of three digits of the measured one otherwise.
    """
    figures = measurement.figures
    found = {name: figures[f"accelerator_{name}"] for name in RESOURCES if f"accelerator_{name}" in figures}
    if "fmax" in figures:
        found["fmax"] = figures["fmax"]
    clock = figures.get("board_clock_mhz")
    for name, cycles in TIMES.items() if clock is not None else ():
        counted = figures.get(f"board_{cycles}")
        if counted is not None:
            assert clock is not None
            mhz = _frequency(clock)
            details = {"cycles": counted.value, "clock_mhz": mhz}
            found[name] = _rounded(name, replace(counted, value=counted.value / mhz, unit="us", details=details))
    return found


def _frequency(clock: Figure) -> float:
    register = float(clock.details["register"])
    if abs(clock.value - register) <= CLOCK_TOLERANCE * register:
        return register
    return float(f"{clock.value:.{_CLOCK_DIGITS}g}")


def _rounded(name: str, figure: Figure) -> Figure:
    if name not in TIMES or figure.value <= 0:
        return figure
    return replace(figure, value=float(f"{figure.value:.{_TIME_DIGITS}g}"))


def corrections(
    candidates: Mapping[str, Measurement], shown: Sequence[tuple[str, Measurement]], clock_mhz: float
) -> Corrections:
    """Fits from what was ``shown`` of candidates (digest, board's or routed figures), and those figures themselves.

    Of each figure only what is of the strongest provenance counts: once a real board has measured a latency, what
    virtual ones said of latencies is left out. Of a candidate shown twice the later counts.
    """
    pairs = [(digest, name, figure) for digest, seen in shown for name, figure in observations(seen).items()]
    strongest: dict[str, int] = {}
    for _, name, figure in pairs:
        strongest[name] = max(strongest.get(name, 0), _RANK[figure.provenance])
    own: dict[str, dict[str, Figure]] = {}
    for digest, name, figure in pairs:
        if _RANK[figure.provenance] == strongest[name]:
            own.setdefault(digest, {})[name] = figure
    predicted = {digest: predictions(candidates[digest], clock_mhz) for digest in own}
    fits = {}
    for name in strongest:
        both = [(predicted[digest][name], seen[name]) for digest, seen in own.items() if name in seen]
        values = [(before.value, _evidence(name, before, after)) for before, after in both]
        positive = [pair for pair in values if min(pair) > 0]
        if positive:
            fits[name] = Correction(fit(positive), both[0][1].provenance)
    return Corrections(clock_mhz, fits, own)


def _evidence(name: str, predicted: Figure, measured: Figure) -> float:
    """What a pair says of the prediction.

    A routed design that meets its clock was not asked for a faster one, so it contradicts no higher Fmax.
    """
    if name == "fmax" and measured.bound:
        return max(predicted.value, measured.value)
    return measured.value
