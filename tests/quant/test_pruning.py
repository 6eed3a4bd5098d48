"""Pruning of whole units, as a gene: which stay, what is trained, and that it ends with the network asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_networks import architecture

from codesign.architecture import Architecture
from quant.build import build
from quant.canonical import canonicalize, evaluate, logits
from quant.pruning import kept, pruned_phases, set_weights, shrunk, weights_of
from quant.train import train

PRUNED = architecture((16, "ternary"), (8, "2"), pruning=0.5)


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


def test_what_is_left_has_the_units_and_the_inputs_that_stayed(input_format, split):
    model, narrow = build(architecture((8, "2"), (6, "2")), input_format, 3), architecture((5, "2"), (4, "2"))
    weights = weights_of(model)
    first, second = (kept(weights[f"dense_{n}"]["kernel"], count, 7) for n, count in ((0, 5), (1, 4)))
    left = shrunk(weights, narrow, 7)
    small = build(narrow, input_format, 9)
    set_weights(small, left)
    found = weights_of(small)
    assert np.array_equal(found["dense_0"]["kernel"], weights["dense_0"]["kernel"][:, first])
    assert np.array_equal(found["dense_1"]["kernel"], weights["dense_1"]["kernel"][np.ix_(first, second)])
    assert np.array_equal(found["logits"]["kernel"], weights["logits"]["kernel"][second])
    assert np.array_equal(found["norm_1"]["gamma"], weights["norm_1"]["gamma"][second])
    assert logits(small, input_format.quantized_real(split.x_val)).shape == (len(split.x_val), 10)


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
