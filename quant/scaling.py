"""InputFormat: how real-valued features become the integers that the hardware reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from codesign.errors import DataError, nearest

Scale = Literal["minmax", "standard", "none"]
SCALES: tuple[Scale, ...] = ("minmax", "standard", "none")
_CHUNK = 4096
"""Samples quantized at a time, so that image sets never exist as a float64 copy."""
_LARGEST = 1e150
"""Magnitude of a training feature up to which its square, a difference and a sum of many are finite float64."""


@dataclass(frozen=True)
class InputFormat:
    """The affine map and the fixed-point type of the inputs; belongs to the model.

    Feature i becomes ``k = clip(rint((x - offset[i]) * gain[i]))``, an integer of ``bits`` bits, two's
    complement where ``signed``; the network computes with the real value ``k * 2**-frac``, which lies in
    [0, 1) or [-1, 1).
    """

    bits: int
    signed: bool
    frac: int
    offset: tuple[float, ...]
    gain: tuple[float, ...]

    @property
    def low(self) -> int:
        """The smallest input integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest input integer."""
        return (1 << (self.bits - int(self.signed))) - 1

    def quantize(self, x: NDArray[Any]) -> NDArray[np.int64]:
        """Input integers of samples (n, features); values beyond the range saturate."""
        k = np.empty(x.shape, dtype=np.int64)
        self._fill(k, x)
        return k

    def real(self, k: NDArray[np.int64]) -> NDArray[np.float32]:
        """The values that the QKeras model sees, exact in float32."""
        return (k * 2.0**-self.frac).astype(np.float32)

    def quantized_real(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """``real(quantize(x))`` without the integer array between."""
        values = np.empty(x.shape, dtype=np.float32)
        self._fill(values, x)
        values *= np.float32(2.0**-self.frac)
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_json` gives back an equal value."""
        return {**asdict(self), "offset": list(self.offset), "gain": list(self.gain)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> InputFormat:
        """Inverse of :meth:`to_json`; unknown and missing keys raise ``ValueError``."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"input format: keys {sorted(values)}, expected {sorted(names)}")
        return cls(**{**values, "offset": tuple(values["offset"]), "gain": tuple(values["gain"])})

    def _fill(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        offset, gain = np.asarray(self.offset), np.asarray(self.gain)
        for start in range(0, len(x), _CHUNK):
            rows = slice(start, start + _CHUNK)
            with np.errstate(over="ignore"):  # infinite is far outside the range too
                out[rows] = np.clip(np.rint((x[rows] - offset) * gain), self.low, self.high)


def fit(x_train: NDArray[Any], scale: Scale, bits: int, image_shape: tuple[int, int, int] | None = None) -> InputFormat:
    """The InputFormat of ``bits`` bits (1 to 8) for features like those of ``x_train`` (n, features).

    ``minmax`` maps [min, max] to all unsigned codes. ``standard`` maps the mean to 0 and, to signed codes, a range
    that grows from two standard deviations at 2 bits to four at 8, close to the best uniform quantizer of a normal
    variable. ``none`` takes values that already lie in [0, 1] or [-1, 1]. Statistics are per feature, for images
    per channel, since pixels share their meaning. One bit has no room for a sign: it says "above the mean"
    (``standard``) or "above zero" (``none``, signed data). Constant features become 0.
    """
    if scale not in SCALES:
        raise DataError(f"unknown data.scale {scale!r}: {nearest(scale, SCALES)}")
    if not 1 <= bits <= 8:
        raise DataError(f"input bits must be 1 to 8, not {bits}")
    features = x_train.shape[1]
    if scale == "none":
        return _unscaled(x_train, bits, features)
    channels = image_shape[2] if image_shape else features
    pixels = x_train.reshape(-1, channels)
    _require_scalable(pixels, "channel" if image_shape else "feature")
    if scale == "minmax":
        low, span = pixels.min(axis=0).astype(np.float64), np.ptp(pixels.astype(np.float64), axis=0)
        return _format(bits, False, features, low, _ratio(2.0**bits - 1, span))
    mean, deviation = pixels.mean(axis=0, dtype=np.float64), pixels.std(axis=0, dtype=np.float64)
    if bits == 1:
        return _format(1, False, features, mean - deviation / 2, _ratio(1.0, deviation))
    reach = 2 + (bits - 2) / 3
    return _format(bits, True, features, mean, _ratio(2.0 ** (bits - 1), reach * deviation))


def _require_scalable(pixels: NDArray[Any], what: str) -> None:
    low, high = (values.astype(np.float64) for values in (pixels.min(axis=0), pixels.max(axis=0)))
    beyond = np.flatnonzero(np.maximum(-low, high) > _LARGEST)
    if beyond.size:
        first = beyond[0]
        raise DataError(
            f"{what} {first} (the first is 0) reaches from {low[first]:g} to {high[first]:g}, too large to be scaled: "
            f"divide it so that it stays within +-{_LARGEST:g}"
        )


def _unscaled(x_train: NDArray[Any], bits: int, features: int) -> InputFormat:
    low, high = float(x_train.min()), float(x_train.max())
    if low < -1 or high > 1:
        raise DataError(
            f"data.scale = 'none' needs values in [0, 1] or [-1, 1], but these reach from {low:g} to {high:g}: "
            "use data.scale = 'minmax'"
        )
    signed = low < 0
    if signed and bits == 1:
        return _format(1, False, features, np.array([-0.5]), np.array([1.0]))
    return _format(bits, signed, features, np.zeros(1), np.array([2.0 ** (bits - int(signed))]))


def _ratio(numerator: float, span: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gain of each channel; 0 where it is constant, or varies by less than a float64 can divide by."""
    with np.errstate(over="ignore"):
        gain = np.divide(numerator, span, out=np.zeros_like(span), where=span > 0)
    return np.where(np.isfinite(gain), gain, 0.0)


def _format(
    bits: int, signed: bool, features: int, offset: NDArray[np.float64], gain: NDArray[np.float64]
) -> InputFormat:
    """Repeat per-channel statistics over the features: channels are the innermost dimension of an image."""
    repeats = features // offset.size
    return InputFormat(
        bits=bits,
        signed=signed,
        frac=bits - int(signed),
        offset=tuple(float(value) for value in np.tile(offset, repeats)),
        gain=tuple(float(value) for value in np.tile(gain, repeats)),
    )
