"""Layers of the training model whose forward pass is already what the hardware will compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .quantizers import DEAD_ZONE, dyadic, on_lattice, straight_through, ternarize
from .tf import keras, tf

Tensor = Any

SLOPE_MIN, SLOPE_MAX = 2.0**-10, 2.0**3
"""Magnitudes of the slopes that the hardware takes."""
MOMENTUM = 0.9
"""Of the moving statistics, per training batch."""
EPSILON = 1e-5


class _Freezable(keras.layers.Layer):  # type: ignore[misc]
    """A layer with statistics that follow the batches until :meth:`freeze`."""

    def build(self, input_shape: Any) -> None:
        self.frozen = self.add_weight("frozen", shape=(), initializer="zeros", trainable=False)
        super().build(input_shape)

    def freeze(self) -> None:
        """From now on training computes with the stored statistics, as inference does."""
        self.frozen.assign(1.0)


class DyadicNorm(_Freezable):
    """Batch normalization snapped in its forward pass: ``y = slope * (a + n * lsb)``.

    ``a`` (samples, ..., units) is an accumulator with values on the lattice ``lsb``; per unit the slope is a power of
    two (either sign, clipped to SLOPE_MIN..SLOPE_MAX) nearest to gamma / sigma, and n an integer. Gradients are those
    of ordinary batch normalization. With ``normalize=False`` there are no statistics: the slope is the constant
    ``scale`` and only the offset is learned.
    """

    def __init__(self, lsb: float, scale: float, *, normalize: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lsb = lsb
        self.scale = scale
        self.normalize = normalize

    def build(self, input_shape: Any) -> None:
        """Variables, one value per unit."""
        shape = (input_shape[-1],)
        start = keras.initializers.Constant(self.scale)
        self.gamma = self.add_weight("gamma", shape=shape, initializer=start, trainable=self.normalize)
        self.beta = self.add_weight("beta", shape=shape, initializer="zeros")
        self.mean = self.add_weight("mean", shape=shape, initializer="zeros", trainable=False)
        self.variance = self.add_weight("variance", shape=shape, initializer="ones", trainable=False)
        super().build(input_shape)

    def call(self, a: Tensor, training: bool = False) -> Tensor:
        """Snapped normalization of (samples, ..., units)."""
        mean, variance = self.mean, self.variance
        if training and self.normalize:
            batch_mean, batch_variance = tf.nn.moments(a, axes=list(range(len(a.shape) - 1)))
            live = self.frozen < 0.5
            step = tf.where(live, 1.0 - MOMENTUM, 0.0)
            self.mean.assign_add(step * (batch_mean - self.mean))
            self.variance.assign_add(step * (batch_variance - self.variance))
            mean = tf.where(live, batch_mean, mean)
            variance = tf.where(live, batch_variance, variance)
        slope = self.gamma / tf.sqrt(variance + EPSILON) if self.normalize else self.gamma
        hard, offset = self._snapped(slope, mean, self.beta)
        return straight_through(hard * a + offset, slope * (a - mean) + self.beta)

    def estimate(self, a: NDArray[np.float32]) -> None:
        """Replace the moving statistics, if any, by those of ``a`` (samples, ..., units)."""
        if self.normalize:
            a = a.reshape(-1, a.shape[-1])
            self.mean.assign(a.mean(axis=0, dtype=np.float64))
            self.variance.assign(a.var(axis=0, dtype=np.float64))

    def snapped(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Slope and offset per unit as inference uses them: ``y = slope * a + offset``."""
        slope = self.gamma / tf.sqrt(self.variance + EPSILON) if self.normalize else self.gamma
        slope, offset = self._snapped(slope, self.mean, self.beta)
        return slope.numpy(), offset.numpy()

    def _snapped(self, slope: Tensor, mean: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """The dyadic slope, and the offset that puts ``mean`` at ``beta`` with it."""
        sign = tf.where(slope < 0, -1.0, 1.0)
        hard = sign * tf.clip_by_value(tf.abs(dyadic(slope)), SLOPE_MIN, SLOPE_MAX)
        return hard, on_lattice(beta - hard * mean, tf.abs(hard) * self.lsb)


class TernaryActivation(_Freezable):
    """Ternary activation: one threshold per layer, a moving average of 0.7 * mean|y|, frozen for inference."""

    def build(self, input_shape: Any) -> None:
        """The threshold starts where a normal variable of unit variance has it."""
        start = keras.initializers.Constant(DEAD_ZONE * (2 / np.pi) ** 0.5)
        self.threshold = self.add_weight("threshold", shape=(), initializer=start, trainable=False)
        super().build(input_shape)

    def call(self, y: Tensor, training: bool = False) -> Tensor:
        """-1, 0, +1 of (samples, ..., units)."""
        if training:
            step = tf.where(self.frozen < 0.5, 1.0 - MOMENTUM, 0.0)
            self.threshold.assign_add(step * (DEAD_ZONE * tf.reduce_mean(tf.abs(y)) - self.threshold))
        return ternarize(y, self.threshold)

    def estimate(self, y: NDArray[np.float32]) -> None:
        """Set the threshold from all of ``y`` (samples, ..., units)."""
        self.threshold.assign(DEAD_ZONE * np.abs(y).mean(dtype=np.float64))


class RepeatableDropout(keras.layers.Layer):  # type: ignore[misc]
    """Dropout whose masks depend on ``seed`` and the number of the training step alone, not on what ran before."""

    def __init__(self, rate: float, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """The number of the step."""
        self.step = self.add_weight("step", shape=(), dtype=tf.int32, initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, y: Tensor, training: bool = False) -> Tensor:
        """``y``; in training with the share ``rate`` of it 0 and the rest larger by what is missing."""
        if not training:
            return y
        self.step.assign_add(1)
        kept = tf.random.stateless_uniform(tf.shape(y), (self.seed, self.step)) >= self.rate
        return tf.where(kept, y / (1.0 - self.rate), 0.0)
