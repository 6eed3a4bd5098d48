"""Networks of images: what was trained, the canonical model and the integer graph give the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from test_canonical import disturbed

from codesign.architecture import Architecture, ConvLayer, DenseLayer, Hardware
from quant import scaling
from quant.build import build
from quant.canonical import canonicalize, load, logits, save
from quant.layers import RepeatableDropout
from quant.tf import tf
from quant.train import settle, train

pytestmark = pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning")


def network(*convolutions, hidden=(), bits=2, batch_norm=True, weights="ternary"):
    layers = tuple(DenseLayer(units, activation) for units, activation in hidden)
    image = {"image": (8, 8, 1), "convolutions": convolutions}
    return Architecture(64, 10, bits, layers, batch_norm, Hardware("parallel"), weights, **image)


NETWORKS = [
    network(ConvLayer(4, 3, "ternary", 2), ConvLayer(4, 3, "2", 2)),
    network(ConvLayer(4, 5, "3", 3), hidden=[(12, "ternary")], batch_norm=False),
    network(
        ConvLayer(4, 3, "ternary"), ConvLayer(4, 5, "ternary", 2, joined=True), ConvLayer(3, 3, "ternary", 4, True)
    ),
    network(ConvLayer(3, 3, "2", 2), ConvLayer(4, 3, "ternary", 1, True), ConvLayer(4, 1, "4", 2, True), bits=3),
    network(ConvLayer(4, 3, "ternary", 4), weights="binary", bits=1),
]


@pytest.mark.parametrize("shape", NETWORKS, ids=lambda shape: shape.words())
def test_every_level_gives_the_same_bits(shape, digits, split, tmp_path):
    from hw.hls4ml_flow import parse
    from hw.implement import random_vectors
    from hw.lower import lower, self_check

    input_format = scaling.fit(split.x_train, "minmax", shape.input_bits, digits.image_shape)
    model = disturbed(build(shape, input_format, seed=3))
    settle(model, input_format.quantized_real(split.x_train[:200]).reshape(-1, 8, 8, 1))
    canonical = canonicalize(model, shape, input_format)
    graph = lower(parse(canonical, "xc7z020clg400-1", 100.0))
    self_check(canonical, graph, random_vectors(graph, 32, 0))
    k = np.concatenate([input_format.quantize(split.x_val[:200]), random_vectors(graph, 100, 1)])
    trained = logits(model, input_format.real(k))
    assert np.unique(trained.argmax(axis=1)).size > 1
    assert np.array_equal(logits(canonical, input_format.real(k)), trained)
    assert np.array_equal(graph.output.type.to_real(graph.run(k)), trained)
    save(canonical, input_format, tmp_path)
    assert np.array_equal(logits(load(tmp_path)[0], input_format.real(k)), trained)


def test_training_repeats_bit_for_bit_whatever_ran_before(split, digits):
    input_format = scaling.fit(split.x_train, "minmax", 2, digits.image_shape)

    def trained():
        model = train(NETWORKS[2], split, input_format, epochs=1, batch_size=64, seed=5)
        return logits(model, input_format.quantized_real(split.x_val))

    first = trained()
    tf.random.uniform((7,), seed=1)
    assert np.array_equal(trained(), first)
    assert np.unique(first.argmax(axis=1)).size > 1


def test_dropout_leaves_out_its_share_and_nothing_after_training():
    layer, ones = RepeatableDropout(0.2, 7), tf.ones((100, 100))
    first, second = layer(ones, training=True).numpy(), layer(ones, training=True).numpy()
    assert abs((first == 0).mean() - 0.2) < 0.02
    assert not np.array_equal(first, second)
    assert np.array_equal(np.unique(first), np.array([0.0, 1.25], np.float32))
    assert np.array_equal(layer(ones).numpy(), ones.numpy())
    assert np.array_equal(RepeatableDropout(0.2, 7)(ones, training=True).numpy(), first)
