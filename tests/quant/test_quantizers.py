"""TOT-Net's equations, each against NumPy, values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.quantizers import BinaryWeights, LatticeBias, TernaryWeights, dyadic, on_lattice, straight_through, ternarize
from quant.tf import tf

RNG = np.random.default_rng(0)


def value_and_gradient(function, x, upstream):
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        loss = tf.reduce_sum(y * upstream)
    return y.numpy(), tape.gradient(loss, x).numpy()


@pytest.mark.parametrize("scale", [1.0, 0.125])
def test_weights_follow_the_equation_per_output_unit(scale):
    w = RNG.normal(0, 0.6, (50, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32)
    upstream = RNG.normal(size=w.shape).astype(np.float32)
    got, gradient = value_and_gradient(TernaryWeights(scale), w, upstream)
    threshold = 0.7 * np.abs(w).mean(axis=0)
    assert len(set(threshold)) == 7
    assert np.array_equal(got, scale * np.sign(w) * (np.abs(w) > threshold))
    assert np.array_equal(gradient, scale * upstream * (np.abs(w) <= 1))
    assert (gradient == 0).any()


def test_a_unit_without_weights_stays_zero():
    assert not TernaryWeights()(tf.zeros((3, 2))).numpy().any()


def test_latent_weights_are_clipped_by_qkeras():
    from quant.tf import keras, qkeras

    layer = qkeras.QDense(1, kernel_quantizer=TernaryWeights(), kernel_initializer="zeros")
    layer.build((None, 3))
    assert isinstance(layer, keras.layers.Layer)
    clipped = layer.kernel.constraint(tf.constant([[-3.0], [0.5], [1.5]]))
    assert clipped.numpy().ravel().tolist() == [-1.0, 0.5, 1.0]


def test_activation_follows_the_equation():
    x = RNG.normal(size=(40, 5)).astype(np.float32)
    upstream = RNG.normal(size=x.shape).astype(np.float32)
    threshold = np.float32(0.7 * np.abs(x).mean())
    got, gradient = value_and_gradient(lambda v: ternarize(v, threshold), x, upstream)
    assert np.array_equal(got, np.sign(x) * (np.abs(x) >= threshold))
    assert np.array_equal(gradient, upstream * (np.abs(x) <= 1))


@given(st.floats(-126, 126, width=32), st.sampled_from([-1.0, 1.0]))
def test_dyadic_rounds_the_logarithm(exponent, sign):
    x = np.float32(sign * 2.0 ** np.float64(exponent))
    got = dyadic(tf.constant(x)).numpy()
    assert got == sign * 2.0 ** np.rint(np.log2(abs(np.float64(x))))


def test_dyadic_at_its_boundary_zero_and_gradient():
    below = np.float32(2**0.5)
    assert float(below) < 2**0.5
    x = np.array([below, np.nextafter(below, np.float32(2)), 0.0, -3.0, 1.0], np.float32)
    got, gradient = value_and_gradient(dyadic, x, 2.0)
    assert got.tolist() == [1.0, 2.0, 0.0, -4.0, 1.0]
    assert gradient.tolist() == [2.0] * 5


@given(st.integers(-1000, 1000), st.floats(-0.49, 0.49), st.integers(-12, 3))
def test_on_lattice_rounds_to_the_nearest_multiple(k, beside, exponent):
    step = 2.0**exponent
    x = np.float32((k + beside) * step)
    got, gradient = value_and_gradient(lambda v: on_lattice(v, step), x, 1.0)
    assert got == k * step
    assert gradient == 1.0


def test_bias_lies_on_the_lattice_and_learns_in_logit_units():
    b = np.array([0.3, -0.9], np.float32)
    got, gradient = value_and_gradient(LatticeBias(lsb=0.25, gain=8.0), b, 1.0)
    assert got.tolist() == [2.5, -7.25]
    assert gradient.tolist() == [8.0, 8.0]


def test_straight_through_is_exact_forward():
    values = RNG.normal(size=1000).astype(np.float32)
    got, gradient = value_and_gradient(lambda v: straight_through(tf.ones_like(v), 3.0 * v), values, 1.0)
    assert (got == 1.0).all()
    assert (gradient == 3.0).all()


@pytest.mark.parametrize("factor", [0.3, 1.1, 1.5])
def test_the_threshold_factor_decides_the_share_of_zeros(factor):
    w = RNG.normal(0, 0.3, (400, 3)).astype(np.float32)
    w[:, 2] = np.sign(w[:, 2])  # latent weights that have all grown to their bound
    got = TernaryWeights(factor=factor)(tf.constant(w)).numpy()
    mean, largest = np.abs(w).mean(axis=0), np.abs(w).max(axis=0)
    threshold = np.minimum(factor * mean, 0.9 * largest) if factor > 0.9 else factor * mean
    assert np.array_equal(got, np.sign(w) * (np.abs(w) >= threshold))
    assert np.abs(got[:, 2]).all(), "no unit loses all its weights"
    share = np.abs(got[:, :2]).mean()
    assert share == pytest.approx({0.3: 0.81, 1.1: 0.38, 1.5: 0.23}[factor], abs=0.03)


def test_binary_weights_follow_the_equation():
    w = np.array([-1.7, -0.2, -0.0, 0.0, 0.4, 1.2], np.float32)
    upstream = RNG.normal(size=w.shape).astype(np.float32)
    got, gradient = value_and_gradient(BinaryWeights(), w, upstream)
    assert got.tolist() == [-1, -1, 1, 1, 1, 1]
    assert np.array_equal(gradient, upstream * (np.abs(w) <= 1))
