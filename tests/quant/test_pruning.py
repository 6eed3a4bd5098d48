"""Pruning of filters and units, as a gene: which stay, what is trained, and that it ends with the network asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_networks import architecture

from codesign.architecture import Architecture, ConvLayer, DenseLayer, Hardware, Training
from quant import scaling
from quant.build import build
from quant.canonical import canonicalize, evaluate, logits
from quant.pruning import kept, pruned_phases, set_weights, shrunk, sizes
from quant.train import train

PRUNED = architecture((16, "ternary"), (8, "2"), pruning=0.5)


def network(*convolutions, hidden=(), batch_norm=True, **training):
    layers = tuple(DenseLayer(units, activation) for units, activation in hidden)
    images = {"image": (8, 8, 1), "convolutions": convolutions, "training": Training(**training)}
    return Architecture(64, 10, 2, layers, batch_norm, Hardware("parallel"), **images)


def test_one_of_each_cluster_stays():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(5, 20)) * 10
    members = [3, 1, 4, 2, 2]
    labels = np.repeat(np.arange(5), members)
    order = rng.permutation(len(labels))
    kernel = (centres[labels] + 0.01 * rng.normal(size=(12, 20)))[order].T
    units = kept(kernel, 5, seed=1)
    assert sorted(labels[order][units]) == [0, 1, 2, 3, 4]
    assert list(units) == sorted(units)
    assert np.array_equal(kept(kernel, 5, seed=1), units)


def test_the_unit_nearest_to_its_centroid_stays():
    kernel = np.array([[0.0, 1.0, 2.0, 100.0, 101.0, 102.5]])
    assert list(kept(kernel, 2, seed=0)) == [1, 4]


def test_filters_of_convolutions_are_clustered_whole():
    kernel = np.zeros((3, 3, 2, 4))
    kernel[..., 2:] = 5.0
    units = kept(kernel, 2, seed=0)
    assert units[0] < 2 <= units[1]


def test_equal_units_still_give_as_many_as_asked_for():
    assert list(kept(np.ones((4, 6)), 3, seed=0)) == [0, 1, 2]


def test_rounds_lower_the_units_until_the_rate_is_reached():
    phases = pruned_phases(PRUNED, 20)
    assert [tuple(layer.units for layer in shape.hidden) for shape, _ in phases] == [(32, 16), (24, 12), (16, 8)]
    assert [epochs for _, epochs in phases] == [10, 5, 5]
    assert phases[-1][0] == PRUNED
    assert pruned_phases(architecture((16, "2")), 20) == [(architecture((16, "2")), 20)]


def test_rounds_lower_the_filters_of_convolutions_joined_ones_too():
    asked = network(ConvLayer(4, 3, "2"), ConvLayer(3, 5, "ternary", 2, True), hidden=[(6, "3")], pruning=0.5)
    phases = [shape for shape, _ in pruned_phases(asked, 20)]
    filters = [[layer.filters for layer in shape.convolutions] for shape in phases]
    assert filters == [[8, 6], [6, 4], [4, 3]]
    assert [shape.features for shape in phases] == [14 * 16, 10 * 16, 7 * 16]
    assert [shape.hidden[0].units for shape in phases] == [12, 9, 6]
    assert phases[-1] == asked
    assert sizes(asked) == {"conv_0": 4, "conv_1": 3, "dense_0": 6}


def variables(model):
    return {layer.name: {v.name.rpartition("/")[2][:-2]: v for v in layer.weights} for layer in model.layers}


def filled(model, seed):
    """The model with random trits, offsets and thresholds."""
    rng = np.random.default_rng(seed)
    for layer in variables(model).values():
        for name, variable in layer.items():
            if name == "kernel":
                variable.assign(rng.integers(-1, 2, variable.shape).astype(np.float32))
            elif name in ("beta", "mean"):
                variable.assign(rng.normal(0, 0.3, variable.shape).astype(np.float32))
            elif name == "threshold":
                variable.assign(rng.uniform(0.3, 0.9))
    return model


SHAPES = [
    architecture((16, "ternary"), (8, "2")),
    architecture((12, "2"), (8, "ternary"), batch_norm=False),
    network(ConvLayer(6, 3, "ternary", 2), ConvLayer(8, 3, "3", 2)),
    network(ConvLayer(6, 3, "2", 2), ConvLayer(4, 5, "ternary"), hidden=[(8, "2")], batch_norm=False),
    network(ConvLayer(4, 3, "ternary"), ConvLayer(6, 3, "2", 2, True), ConvLayer(6, 1, "ternary", 1, True)),
    network(ConvLayer(6, 3, "ternary", 4, joined=True), hidden=[(8, "ternary"), (6, "2")]),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.words())
def test_what_is_left_computes_what_the_whole_does_when_the_rest_gives_zeros(shape, split, digits):
    """The whole model's filters that do not stay are set to zero, and with them all that others read of them."""
    input_format = scaling.fit(split.x_train, "minmax", shape.input_bits, digits.image_shape)
    narrow = replace(
        shape,
        hidden=tuple(replace(layer, units=layer.units // 2) for layer in shape.hidden),
        convolutions=tuple(replace(layer, filters=layer.filters // 2) for layer in shape.convolutions),
    )
    whole, small = filled(build(shape, input_format, 3), 5), build(narrow, input_format, 9)
    set_weights(small, shrunk(whole, sizes(narrow), 7))
    if not shape.batch_norm:  # each has scales of its own, by the number of what it sums
        for name, layer in variables(small).items():
            if "gamma" in layer:
                layer["gamma"].assign(np.full(layer["gamma"].shape, whole.get_layer(name).scale))
    x = input_format.quantized_real(split.x_val[:64])
    before = logits(whole, x)
    found = variables(whole)
    for name, count in sizes(narrow).items():
        kernel = found[name]["kernel"]
        gone = np.setdiff1d(np.arange(kernel.shape[-1]), kept(kernel.numpy(), count, 7))
        norm = found[f"norm_{name}" if name.startswith("conv") else name.replace("dense", "norm")]
        for variable in (kernel, norm["beta"], norm["mean"]):
            values = variable.numpy()
            values[..., gone] = 0
            variable.assign(values)
    assert np.array_equal(logits(small, x), logits(whole, x))
    assert not np.array_equal(logits(small, x), before), "what was taken away said nothing"
    assert np.unique(before.argmax(axis=1)).size > 1


def test_a_pruned_network_of_images_is_exact_and_repeats(split, digits):
    asked = network(ConvLayer(3, 3, "ternary"), ConvLayer(3, 3, "2", 4, joined=True), pruning=0.5)
    input_format = scaling.fit(split.x_train, "minmax", 2, digits.image_shape)
    model, again = (train(asked, split, input_format, epochs=3, batch_size=256, seed=5) for _ in range(2))
    assert model.get_layer("conv_1").kernel.shape == (3, 3, 4 - 1, 3)
    x = input_format.quantized_real(split.x_val)
    first = logits(model, x)
    assert np.array_equal(logits(canonicalize(model, asked, input_format), x), first)
    assert np.array_equal(logits(again, x), first)
    assert np.unique(first).size > 10


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_pruned_network_learns_and_is_exact(split, digits, input_format, batch_norm):
    shape = replace(PRUNED, batch_norm=batch_norm)
    settings = {"epochs": 8, "batch_size": 32, "seed": 7}
    model = train(shape, split, input_format, **settings)
    canonical = canonicalize(model, shape, input_format)
    assert canonical.get_layer("dense_0").get_weights()[0].shape == (64, 16)
    assert evaluate(canonical, input_format, split.x_val, split.y_val)[0] < 0.3
    x = input_format.quantized_real(digits.x_test)
    assert np.array_equal(logits(canonical, x), logits(model, x))
    again = train(shape, split, input_format, **settings)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))
    other = replace(shape, training=replace(shape.training, pruning=0.0))
    whole = train(other, split, input_format, **settings)
    assert not np.array_equal(whole.get_layer("dense_0").kernel, model.get_layer("dense_0").kernel)


def test_pruning_is_part_of_the_network_and_only_where_it_is():
    assert Architecture.from_json(PRUNED.to_json()) == PRUNED
    assert PRUNED.to_json()["training"]["pruning"] == 0.5
    assert PRUNED.words().endswith(" pruned 0.5")
    other = architecture((16, "2"), threshold=1.1)
    assert "pruning" not in other.to_json()["training"]
    assert Architecture.from_json(other.to_json()) == other
    with pytest.raises(ValueError, match=r"pruning must be 0 to 0\.9, not 0\.95"):
        architecture((16, "2"), pruning=0.95)
