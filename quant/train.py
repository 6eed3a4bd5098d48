"""Training: deterministic, one core, the whole loop inside TensorFlow."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Architecture

from .build import build, temperature
from .datasets import Split
from .layers import DyadicNorm, TernaryActivation
from .scaling import InputFormat
from .tf import keras, tf

Model = Any

SETTLED = 0.6
"""Share of the steps after which statistics and thresholds are frozen; the rest trains what will be exported."""
SMOOTHING = 0.1


def train(
    architecture: Architecture,
    split: Split,
    input_format: InputFormat,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> Model:
    """Build and train a model on the training part of ``split``; the same arguments give the same bits.

    Statistics and thresholds follow the batches first, are then re-estimated on all training samples and frozen, and
    the remaining steps train the network exactly as it will be exported.
    """
    keras.backend.clear_session()
    gc.collect()
    model = build(architecture, input_format, seed)
    x = input_format.quantized_real(split.x_train)
    orders = _orders(len(x), epochs, batch_size, seed)
    rates = learning_rate * 0.5 * (1 + np.cos(np.pi * np.arange(len(orders)) / len(orders)))
    run = _loop(model, tf.constant(x), tf.constant(split.y_train), architecture.outputs)
    settled = int(SETTLED * len(orders))
    run(tf.constant(orders[:settled]), tf.constant(rates[:settled], tf.float32))
    settle(model, x)
    run(tf.constant(orders[settled:]), tf.constant(rates[settled:], tf.float32))
    return model


def settle(model: Model, x: NDArray[np.float32]) -> None:
    """Re-estimate every statistic and threshold on ``x``, layer by layer, and freeze them."""
    values = tf.constant(x)
    for layer in model.layers[1:]:
        if isinstance(layer, DyadicNorm | TernaryActivation):
            layer.estimate(values.numpy())
            layer.freeze()
        values = layer(values)


def _orders(samples: int, epochs: int, batch_size: int, seed: int) -> NDArray[np.int32]:
    """Sample numbers (steps, batch): each epoch a permutation, its incomplete last batch dropped."""
    rng = np.random.default_rng((seed, 1))
    size = min(batch_size, samples)
    whole = samples // size * size
    return np.concatenate([rng.permutation(samples)[:whole].reshape(-1, size) for _ in range(epochs)]).astype(np.int32)


def _loop(model: Model, x: Any, y: Any, classes: int) -> Any:
    """A compiled function (orders, rates) that takes one Adam step per row."""
    rate = tf.Variable(0.0, trainable=False)
    optimizer = keras.optimizers.legacy.Adam(lambda: rate)  # the legacy one has fused kernels
    heat = temperature(model)
    targets = tf.one_hot(y, classes) * (1 - SMOOTHING) + SMOOTHING / classes
    variables = model.trainable_variables

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.float32)])  # type: ignore[untyped-decorator]
    def run(orders: Any, rates: Any) -> None:
        for step in tf.range(tf.shape(orders)[0]):
            rows = orders[step]
            rate.assign(rates[step])
            with tf.GradientTape() as tape:
                logits = heat * model(tf.gather(x, rows), training=True)
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(tf.gather(targets, rows), logits))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    return run
