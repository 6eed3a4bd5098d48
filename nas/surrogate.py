"""Surrogate: measured LUT, flip-flops, Fmax and latency learned from a network's structure, with uncertainty.

A Gaussian process for each figure's logarithm (scikit-learn; Matern 3/2, one length scale, noise). On 59 candidates of
a search on the digits, each generation predicted from those before it, its median errors were 8 % for LUT and 13 % for
flip-flops; those of extra trees were 15 % and 22 %, of a random forest 21 % and 21 % (before the work of one step was a
feature: fitted to 12, 20, 40 and 80 of 360 candidates, that took the median error of LUTs from 26, 16, 11 and 5.8 % to
21, 13, 8 and 5.3 %).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codesign.architecture import Architecture
from codesign.measurement import Measurement

FIGURES = ("lut", "ff", "fmax", "latency_cycles")
FEWEST = 8
"""Measured candidates below which nothing is predicted."""
_DIGITS = 9  # of logarithms, less than what another order of sums could change


@dataclass(frozen=True)
class Candidate:
    """A network with what is estimated of it before any hardware exists."""

    architecture: Architecture
    estimates: Measurement


@dataclass(frozen=True)
class Prediction:
    """A figure as ``value``, within a factor of ``exp(deviation)`` in about two of three cases."""

    value: float
    deviation: float


class Surrogate:
    """Fitted once; the same candidates in the same order give the same predictions."""

    def __init__(self, candidates: Sequence[Candidate], measured: Sequence[Measurement]) -> None:
        """Learn from measured candidates, at least :data:`FEWEST`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_extraction import DictVectorizer
        from threadpoolctl import threadpool_limits

        assert len(candidates) == len(measured) >= FEWEST
        self._columns = DictVectorizer(sparse=False)
        x = self._columns.fit_transform([dict(_features(candidate)) for candidate in candidates])
        self._models = {}
        with threadpool_limits(1), warnings.catch_warnings():  # sums in one order, on however many cores
            warnings.simplefilter("ignore", ConvergenceWarning)  # a figure that is the same for all ends at a bound
            for name in FIGURES:
                self._models[name] = _model().fit(x, [_log(figures.value(name)) for figures in measured])

    def predict(self, candidates: Sequence[Candidate]) -> list[dict[str, Prediction]]:
        """All of :data:`FIGURES` of each of some candidates that were not measured."""
        from threadpoolctl import threadpool_limits

        if not candidates:
            return []
        x = self._columns.transform([dict(_features(candidate)) for candidate in candidates])
        found: list[dict[str, Prediction]] = [{} for _ in candidates]
        with threadpool_limits(1):
            for name, model in self._models.items():
                for one, mean, deviation in zip(found, *model.predict(x, return_std=True), strict=True):
                    one[name] = Prediction(math.exp(round(float(mean), _DIGITS)), round(float(deviation), _DIGITS))
        return found


def _model() -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wide = (1e-5, 1e5)
    kernel = ConstantKernel(1.0, wide) * Matern(5.0, (1e-1, 1e4), nu=1.5) + WhiteKernel(0.1, (1e-8, 1e2))
    return make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True))


def _log(value: float) -> float:
    return math.log(max(value, 1.0))


def _features(candidate: Candidate) -> Iterator[tuple[str, float]]:
    """Every value of the architecture by its place, text as a column of its own; estimates by their logarithm."""
    yield from _flat("", asdict(candidate.architecture))  # with defaults, which its JSON leaves out
    mode, folding = candidate.architecture.hardware.mode, _log(candidate.architecture.hardware.folding)
    yield "folding", folding
    for name, figure in candidate.estimates.figures.items():
        yield name, _log(figure.value)
        yield f"{name} {mode}", _log(figure.value)  # what it costs depends on the mode
        yield f"{name} of a step", _log(figure.value) - folding


def _flat(place: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{place}.{key}", inner)
    elif isinstance(value, tuple):
        yield place, float(len(value))
        for number, inner in enumerate(value):
            yield from _flat(f"{place}.{number}", inner)
    elif isinstance(value, str):
        yield f"{place}={value}", 1.0
    elif value is not None:
        yield place, float(value)
