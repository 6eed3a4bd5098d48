"""Regression: targets as checked arrays, outputs as an affine map of logits, errors as a normalized RMSE.

The network still gives logits on the lattice of its last sums. What they mean in the targets' units is an affine map
per output, found by least squares on the training samples and applied by the host: it costs no hardware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.counting import held, number_of
from codesign.errors import DataError

Array = NDArray[Any]
Floats = NDArray[np.float64]

_LARGEST = 1e150  # whose square, and a sum of many, are finite float64


@dataclass(frozen=True)
class OutputFormat:
    """Prediction of output i: ``offset[i] + gain[i] * logit[i]``; ``spread`` are the targets' standard deviations."""

    offset: tuple[float, ...]
    gain: tuple[float, ...]
    spread: tuple[float, ...]

    def predict(self, logits: Array) -> Floats:
        """Values (samples, outputs) in the targets' units."""
        values: Floats = np.asarray(self.offset) + np.asarray(self.gain) * logits.astype(np.float64)
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OutputFormat:
        """Inverse of :meth:`to_json`; unknown and missing keys raise ``ValueError``."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"output format: keys {sorted(values)}, expected {sorted(names)}")
        return cls(**{key: tuple(value) for key, value in values.items()})


@dataclass(frozen=True)
class Rmse:
    """How far predictions are off: ``normalized``, its standard error, and per target in the target's own unit."""

    normalized: float
    standard_error: float
    per_target: tuple[float, ...]


def rmse(predicted: Floats, y: Floats, spread: tuple[float, ...]) -> Rmse:
    """The error of ``predicted`` (samples, targets) against ``y``.

    Normalized: the root of the mean, over samples and targets, of ((predicted - y) / spread)^2, with ``spread`` the
    standard deviation of each target in the training samples. 0 is perfect, 1 is about what always answering the
    training mean gives; units do not matter. Its standard error is that of the mean square over samples (delta method).
    """
    off = predicted - y
    squares = ((off / np.asarray(spread)) ** 2).mean(axis=1)
    normalized = float(np.sqrt(squares.mean()))
    of_square = float(squares.std(ddof=1)) / np.sqrt(len(y)) if len(y) > 1 else 0.0
    error = of_square / (2 * normalized) if normalized > 0 else 0.0
    return Rmse(normalized, float(error), tuple(float(value) for value in np.sqrt((off**2).mean(axis=0))))


def standardized(y: Floats) -> NDArray[np.float32]:
    """Targets (samples, outputs) of mean 0 and standard deviation 1, as training takes them."""
    return np.asarray((y - y.mean(axis=0)) / y.std(axis=0), np.float32)


def fit_outputs(logits: Array, y: Floats) -> OutputFormat:
    """The affine map from ``logits`` (samples, outputs) to ``y`` of least squares; constant logits give the mean."""
    values = logits.astype(np.float64)
    centered, targets = values - values.mean(axis=0), y - y.mean(axis=0)
    power = (centered**2).sum(axis=0)
    gain = np.divide((centered * targets).sum(axis=0), power, out=np.zeros_like(power), where=power > 0)
    offset = y.mean(axis=0) - gain * values.mean(axis=0)
    columns = (offset, gain, y.std(axis=0))
    return OutputFormat(*(tuple(float(value) for value in column) for column in columns))


def checked_targets(key: str, y: Array) -> Floats:
    """Targets as (samples, targets) of finite float64, or DataError."""
    if y.dtype.kind not in "biuf":
        raise DataError(
            f"{key} holds {held(y)}: targets of a regression are numbers; give numbers, or for classes "
            'data.task = "classification"'
        )
    if y.ndim == 1:
        y = y[:, None]
    if y.ndim != 2 or y.shape[1] == 0:
        raise DataError(f"{key} has shape {y.shape}: (samples,) or (samples, targets) is needed")
    values = y.astype(np.float64)
    bad = ~np.isfinite(values) | (np.abs(np.nan_to_num(values)) > _LARGEST)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{key} has {number_of(bad.sum(), 'value')} not finite or too large, the first at index {first}: "
            f"{values[first]}; remove or fill these samples"
        )
    return values


def require_varying(key: str, y: Floats) -> None:
    """DataError for a target that is the same in all samples: there would be nothing to learn, nor to divide by."""
    constant = np.flatnonzero(~(y.std(axis=0) > 0))
    if constant.size:
        raise DataError(
            f"{key} has the same value, {y[0, constant[0]]:g}, in all samples of target {constant[0]}; drop it"
        )
