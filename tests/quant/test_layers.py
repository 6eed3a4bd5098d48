from __future__ import annotations

import numpy as np
import pytest

from quant.layers import EPSILON, DyadicNorm, TernaryActivation
from quant.tf import keras, tf

RNG = np.random.default_rng(3)
LSB = 0.25
A = (RNG.integers(-40, 40, (64, 6)) * LSB).astype(np.float32)


def made(normalize=True):
    layer = DyadicNorm(LSB, 0.5, normalize=normalize)
    layer.build((None, 6))
    layer.gamma.assign([1.0, -1.0, 0.3, -0.3, 1e-9, 1e9])
    layer.beta.assign(RNG.normal(size=6))
    return layer


def is_dyadic(values):
    return np.array_equal(np.abs(values), 2.0 ** np.rint(np.log2(np.abs(values))))


def test_training_forward_is_already_snapped():
    layer = made()
    y = layer(tf.constant(A), training=True).numpy()
    sigma = np.sqrt(A.var(axis=0) + EPSILON)
    slope = np.sign(layer.gamma) * np.clip(2.0 ** np.rint(np.log2(np.abs(layer.gamma / sigma))), 2**-10, 2**3)
    n = (y / slope - A) / LSB
    assert np.array_equal(n, np.rint(n)), "the offset lies on the accumulator's lattice"
    assert (n == n[0]).all(), "one offset per unit"
    wanted = layer.beta.numpy() - slope * A.mean(axis=0)
    assert (np.abs(slope * n[0] * LSB - wanted) <= np.abs(slope) * LSB / 2 * 1.001).all()


def test_slopes_are_clipped_and_keep_their_sign():
    layer = made()
    layer.estimate(A)
    slope, offset = layer.snapped()
    assert is_dyadic(slope)
    assert np.sign(slope).tolist() == [1, -1, 1, -1, 1, 1]
    assert (slope[4], slope[5]) == (2.0**-10, 2.0**3)
    steps = offset / (np.abs(slope) * LSB)
    assert np.array_equal(steps, np.rint(steps))


def test_inference_uses_estimated_statistics():
    layer = made()
    layer.estimate(A)
    slope, offset = layer.snapped()
    assert np.array_equal(layer(tf.constant(A), training=False).numpy(), slope * A + offset)
    assert np.allclose(layer.mean, A.mean(axis=0))
    assert np.allclose(layer.variance, A.var(axis=0))


def test_frozen_training_equals_inference_and_leaves_statistics_alone():
    layer = made()
    layer.estimate(A)
    layer.freeze()
    before = layer.mean.numpy()
    assert np.array_equal(layer(tf.constant(A[:9]), training=True), layer(tf.constant(A[:9]), training=False))
    assert np.array_equal(layer.mean, before)


def test_statistics_move_with_the_batches():
    layer = made()
    layer(tf.constant(A), training=True)
    assert np.allclose(layer.mean, 0.1 * A.mean(axis=0), atol=1e-6)
    assert np.allclose(layer.variance, 0.9 + 0.1 * A.var(axis=0), rtol=1e-5)


def test_gradients_are_those_of_batch_normalization():
    layer = made()
    layer.gamma.assign(RNG.normal(size=6))
    reference = keras.layers.BatchNormalization(epsilon=EPSILON)
    reference.build((None, 6))
    reference.gamma.assign(layer.gamma)
    reference.beta.assign(layer.beta)
    upstream = RNG.normal(size=A.shape).astype(np.float32)
    gradients = []
    for norm in (layer, reference):
        a = tf.constant(A)
        with tf.GradientTape() as tape:
            tape.watch(a)
            loss = tf.reduce_sum(norm(a, training=True) * upstream)
        gradients.append(tape.gradient(loss, [a, norm.gamma, norm.beta]))
    for got, wanted in zip(*gradients, strict=True):
        assert np.allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_without_normalization_the_slope_is_one_constant():
    layer = DyadicNorm(LSB, 0.125, normalize=False)
    layer.build((None, 6))
    layer.beta.assign([0.1, -0.2, 0.3, 0.0, 1.0, -1.0])
    slope, offset = layer.snapped()
    assert slope.tolist() == [0.125] * 6
    assert np.array_equal(offset, np.rint(layer.beta.numpy() / 0.03125) * 0.03125)
    assert [v.name.split(":")[0] for v in layer.trainable_variables] == ["beta"]
    assert np.array_equal(layer(tf.constant(A), training=True), slope * A + offset)


def test_ternary_threshold_moves_then_freezes():
    layer = TernaryActivation()
    y = tf.constant(RNG.normal(2, 1, (64, 6)).astype(np.float32))
    layer.build(y.shape)
    start = float(layer.threshold)
    assert start == pytest.approx(0.7 * np.sqrt(2 / np.pi))
    layer(y, training=True)
    moved = float(layer.threshold)
    assert moved == pytest.approx(0.9 * start + 0.1 * 0.7 * np.abs(y).mean(), rel=1e-5)
    layer(y, training=False)
    assert float(layer.threshold) == moved
    layer.estimate(y.numpy())
    assert float(layer.threshold) == pytest.approx(0.7 * np.abs(y).mean(), rel=1e-6)
    layer.freeze()
    frozen = float(layer.threshold)
    got = layer(3.0 * y, training=True).numpy()
    assert float(layer.threshold) == frozen
    assert np.array_equal(got, np.sign(y) * (np.abs(3.0 * y) >= np.float32(frozen)))
