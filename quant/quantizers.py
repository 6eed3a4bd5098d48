"""Ternary quantizers after TOT-Net, binary ones, and the dyadic rounding that makes scales exact in hardware.

TOT-Net: a value becomes 0 unless its magnitude exceeds 0.7 times the mean magnitude, else its sign;
gradients pass straight through where the value lies in [-1, 1].
"""

from __future__ import annotations

from typing import Any

from .tf import qkeras, tf

Tensor = Any

DEAD_ZONE = 0.7
"""Threshold of ternarization as a multiple of the mean magnitude."""
LARGEST = 0.9
"""Threshold of ternary weights at most, as a multiple of the largest magnitude: no unit loses all its weights."""


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Forward ``hard``, exactly; backward the gradient of ``soft``. Both have one shape.

    The usual ``soft + stop_gradient(hard - soft)`` loses the last bits of ``hard``; here the second term is zero.
    ``tf.custom_gradient`` would do too, but registers every use for ever and keeps its graph alive.
    """
    return tf.stop_gradient(hard) + (soft - tf.stop_gradient(soft))


def dyadic(x: Tensor) -> Tensor:
    """``sign(x) * 2**round(log2|x|)`` of float32, gradient straight through; zero stays zero.

    Works on the bits: adding the distance from sqrt(2)'s mantissa to 2 carries into the exponent exactly
    when the logarithm rounds up, and no tie exists since sqrt(2) is irrational.
    """
    bits = tf.bitcast(x, tf.int32) + (0x00800000 - 0x003504F4)
    return straight_through(tf.bitcast(tf.bitwise.bitwise_and(bits, -0x00800000), tf.float32), x)


def on_lattice(x: Tensor, step: Tensor) -> Tensor:
    """The multiple of the dyadic ``step`` nearest to ``x``, gradient straight through."""
    return straight_through(tf.round(x / step) * step, x)


def ternarize(x: Tensor, threshold: Tensor) -> Tensor:
    """-1, 0 or +1: zero where ``|x| < threshold``. Gradient straight through where ``|x| <= 1``."""
    return straight_through(tf.sign(x) * tf.cast(tf.abs(x) >= threshold, x.dtype), tf.clip_by_value(x, -1.0, 1.0))


class _UnitWeights(qkeras.BaseQuantizer):  # type: ignore[misc]
    """A kernel quantizer whose latent weights QKeras clips to [-1, 1], by :meth:`max`."""

    def max(self) -> float:
        """Bound of the latent weights."""
        return 1.0

    def min(self) -> float:
        """Bound of the latent weights."""
        return -1.0


class TernaryWeights(_UnitWeights):
    """Kernel quantizer: ``scale * {-1, 0, +1}`` with one threshold, ``factor * mean|w|``, per output unit (last axis).

    ``scale`` is a power of two, so that sums stay exact. TOT-Net's ``factor`` is 0.7: larger ones give more zeros.
    """

    def __init__(self, scale: float = 1.0, factor: float = DEAD_ZONE) -> None:
        super().__init__()
        self.scale = scale
        self.factor = factor

    def __call__(self, w: Tensor) -> Tensor:
        """The quantized kernel, of the shape of ``w``."""
        magnitude, inputs = tf.abs(w), list(range(len(w.shape) - 1))
        threshold = self.factor * tf.reduce_mean(magnitude, axis=inputs, keepdims=True)
        if self.factor > LARGEST:  # latent weights grow to their bound, where such a factor leaves none of them
            threshold = tf.minimum(threshold, LARGEST * tf.reduce_max(magnitude, axis=inputs, keepdims=True))
        # a unit whose weights are all zero stays so
        return self.scale * ternarize(w, tf.maximum(threshold, 1e-30))

    def get_config(self) -> dict[str, float]:
        """Constructor arguments."""
        return {"scale": self.scale, "factor": self.factor}


class BinaryWeights(_UnitWeights):
    """Kernel quantizer: -1 where ``w < 0``, else +1 (Courbariaux et al., BinaryConnect, 2015, equation 1)."""

    def __call__(self, w: Tensor) -> Tensor:
        """The quantized kernel, of the shape of ``w``; gradient straight through where ``|w| <= 1``."""
        return straight_through(tf.where(w < 0, -tf.ones_like(w), tf.ones_like(w)), tf.clip_by_value(w, -1.0, 1.0))

    def get_config(self) -> dict[str, float]:
        """Constructor arguments."""
        return {}


class LatticeBias(qkeras.BaseQuantizer):  # type: ignore[misc]
    """Bias quantizer: ``gain`` times the latent bias, on the accumulator's lattice of step ``lsb``.

    The latent bias is learned in units of the scaled logits, where a learning rate means the same for every width.
    """

    def __init__(self, lsb: float, gain: float) -> None:
        super().__init__()
        self.lsb = lsb
        self.gain = gain

    def __call__(self, b: Tensor) -> Tensor:
        """The quantized bias, of the shape of ``b``."""
        return on_lattice(self.gain * b, self.lsb)

    def max(self) -> float:
        """Bound of the latent bias; scaled logits rarely exceed it."""
        return 16.0

    def min(self) -> float:
        """Bound of the latent bias."""
        return -16.0

    def get_config(self) -> dict[str, float]:
        """Constructor arguments."""
        return {"lsb": self.lsb, "gain": self.gain}
