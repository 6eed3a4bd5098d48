from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import architecture

from codesign.errors import ModelError
from quant.build import Signal, build, temperature
from quant.canonical import canonicalize, evaluate, load, logits, off_lattice, save
from quant.scaling import InputFormat, fit
from quant.tf import qkeras
from quant.train import settle

SHAPES = [
    architecture((24, "ternary"), (12, "ternary")),
    architecture((20, "2"), (12, "2")),
    architecture((20, "3"), batch_norm=False),
    architecture((20, "4"), (12, "ternary"), (8, "2")),
    architecture((20, "ternary"), (12, "4"), batch_norm=False),
    architecture(),
    architecture((20, "ternary"), (12, "3"), weights="binary"),
    architecture((20, "2"), weights="binary", batch_norm=False),
    architecture((20, "2"), (12, "ternary"), threshold=1.4),
]


def disturbed(model, seed=0):
    """Parameters such as training could find them: slopes of both signs, offsets, biases."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name.startswith("norm_"):
            layer.beta.assign(rng.normal(0, 0.5, layer.beta.shape))
            if layer.normalize:
                layer.gamma.assign(rng.normal(0, 1, layer.gamma.shape))
    model.get_layer("logits").bias.assign(rng.normal(size=10))
    return model


@pytest.fixture(scope="module", params=range(len(SHAPES)), ids=lambda i: SHAPES[i].words())
def pair(request, split, input_format):
    shape = SHAPES[request.param]
    model = disturbed(build(shape, input_format, seed=request.param))
    settle(model, input_format.quantized_real(split.x_train))
    return shape, model, canonicalize(model, shape, input_format)


def test_canonical_logits_are_those_of_training_inference(pair, split, input_format):
    _, model, canonical = pair
    rng = np.random.default_rng(0)
    for x in (input_format.quantized_real(split.x_val), input_format.real(rng.integers(0, 16, (500, 64)))):
        trained = logits(model, x)
        assert np.unique(trained.argmax(axis=1)).size > 1
        assert np.array_equal(logits(canonical, x), trained)


def test_canonical_logits_are_integers_of_the_lattice(pair, split, input_format):
    """Independent of Keras: the whole network in integers, from the canonical model's weights alone."""
    shape, _, canonical = pair
    k = input_format.quantize(split.x_val)
    frac = input_format.frac
    values = k * 2.0**-frac
    for i, layer in enumerate(shape.hidden):
        (trits,) = canonical.get_layer(f"dense_{i}").get_weights()
        assert np.isin(trits, (-1, 0, 1)).all()
        gamma, beta, mean, variance = canonical.get_layer(f"norm_{i}").get_weights()
        assert np.array_equal(gamma, 2.0 ** np.rint(np.log2(gamma)))
        assert gamma.min() >= 2.0**-10
        assert gamma.max() <= 8
        assert not mean.any()
        assert (variance == 1).all()
        steps = beta / (gamma * 2.0**-frac)
        assert np.array_equal(steps, np.rint(steps)), "beta lies on the accumulator's lattice"
        y = (values @ trits + steps * 2.0**-frac) * gamma
        if layer.activation == "ternary":
            threshold = canonical.get_layer(f"act_{i}").activation.threshold
            on = threshold / (gamma * 2.0**-frac)
            assert (on != np.rint(on)).all(), "the threshold lies off every unit's lattice"
            assert threshold != 0.5
            values, frac = np.sign(y) * (np.abs(y) > threshold), 0
        else:
            frac = int(layer.activation)
            values = np.clip(np.rint(y * 2**frac), 0, 2**frac - 1) * 2.0**-frac
    trits, bias = canonical.get_layer("logits").get_weights()
    assert np.array_equal(bias * 2.0**frac, np.rint(bias * 2.0**frac))
    assert np.array_equal(logits(canonical, input_format.quantized_real(split.x_val)), values @ trits + bias)


def test_only_known_layers_in_a_fixed_order(pair):
    shape, _, canonical = pair
    names = [name for i in range(len(shape.hidden)) for name in (f"dense_{i}", f"norm_{i}", f"act_{i}")]
    assert [layer.name for layer in canonical.layers] == ["x", "input_quant", *names, "logits"]


def test_negative_slopes_flip_trits(input_format):
    shape = architecture((3, "ternary"))
    model = build(shape, input_format, seed=5)
    plain = canonicalize(model, shape, input_format)
    model.get_layer("norm_0").gamma.assign([1.0, -1.0, 1.0])
    flipped = canonicalize(model, shape, input_format)
    before, after = (m.get_layer("dense_0").get_weights()[0] for m in (plain, flipped))
    assert np.abs(before).sum() > 0
    assert np.array_equal(after, before * [1, -1, 1])
    assert (flipped.get_layer("norm_0").get_weights()[0] > 0).all()


def test_bias_type_holds_every_bias_and_little_more(pair):
    shape, _, canonical = pair
    layer = canonical.get_layer("logits")
    quantizer = layer.bias_quantizer_internal
    bias = layer.get_weights()[1]
    assert np.array_equal(quantizer(bias), bias)
    frac = quantizer.bits - 1 - quantizer.integer
    assert 2.0**-frac == (Signal.of(shape.hidden[-1].activation).lsb if shape.hidden else 2.0**-4)
    narrower = qkeras.quantized_bits(quantizer.bits - 1, quantizer.integer - 1, alpha=1)
    if quantizer.bits > max(2, frac + 1):
        assert not np.array_equal(narrower(bias), bias)


def test_input_quantizer_passes_lattice_values_and_saturates(input_format, digits):
    shape = architecture()
    layer = canonicalize(build(shape, input_format), shape, input_format).get_layer("input_quant")
    values = input_format.real(np.arange(16))
    assert np.array_equal(layer(values), values)
    assert layer(np.array([-1.0, 2.0], np.float32)).numpy().tolist() == [0.0, 15 / 16]
    signed = fit(digits.x_train, "standard", 3, digits.image_shape)
    shape = architecture(bits=3)
    layer = canonicalize(build(shape, signed), shape, signed).get_layer("input_quant")
    values = signed.real(np.arange(-4, 4))
    assert np.array_equal(layer(values), values)


@given(st.floats(1e-4, 50), st.integers(-18, 3))
def test_off_lattice_thresholds_decide_the_same(threshold, exponent):
    step = 2.0**exponent
    moved = off_lattice(threshold, step)
    nearest = round(threshold / step)
    values = np.arange(max(nearest - 3, 0), nearest + 4) * step
    assert np.array_equal(values >= moved, (values >= threshold) & (values > 0))
    assert np.array_equal(values > moved, values >= moved)
    assert moved != 0.5
    assert moved > 0


def test_off_lattice_avoids_one_half():
    # and half a scale of 1, with which hls4ml would fold the scale away
    assert off_lattice(0.56, 1.0) == 0.375
    assert off_lattice(1.2, 1.0) == 1.375
    assert off_lattice(0.56, 2.0) == 0.75


def test_evaluate_counts(pair, split, input_format):
    _, model, canonical = pair
    answers = logits(model, input_format.quantized_real(split.x_val)).argmax(axis=1)
    assert evaluate(canonical, input_format, split.x_val, answers) == (0.0, 0)
    wrong = answers.copy()
    wrong[:7] = (wrong[:7] + 1) % 10
    assert evaluate(canonical, input_format, split.x_val, wrong) == (7 / len(wrong), 7)


def test_saved_models_are_equal_in_bytes_and_behaviour(pair, split, input_format, tmp_path):
    _, _, canonical = pair
    for name in "ab":
        save(canonical, input_format, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["input_format.json", "model.h5"]
    assert all(read(tmp_path / "a" / file) == read(tmp_path / "b" / file) for file in files)
    loaded, form = load(tmp_path / "a")
    assert form == input_format
    x = input_format.quantized_real(split.x_val)
    assert np.array_equal(logits(loaded, x), logits(canonical, x))


def read(path: Path) -> bytes:
    return path.read_bytes()


def test_sums_beyond_24_bits_are_refused():
    bits, inputs = 8, 70_000
    wide = InputFormat(bits, False, bits, (0.0,) * inputs, (1.0,) * inputs)
    shape = architecture(bits=bits).__class__(**{**vars(architecture(bits=bits)), "inputs": inputs})
    model = build(shape, wide)
    model.get_layer("logits").kernel.assign(np.ones((inputs, 10)))
    message = "layer logits: sums need 25.1 bits, but float32 is exact only to 24: use fewer inputs, units or bits"
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        canonicalize(model, shape, wide)


def test_format_of_another_network_is_refused(input_format):
    shape = architecture(bits=3)
    message = "the architecture reads 64 inputs of 3 bits, but the input format has 64 of 4 bits"
    with pytest.raises(ModelError, match=f"^{message}$"):
        build(shape, input_format)


def test_temperature_brings_logits_to_unit_scale(input_format, split):
    for shape in (architecture((32, "ternary")), architecture((32, "3")), architecture()):
        model = build(shape, input_format, seed=1)
        settle(model, input_format.quantized_real(split.x_train))
        spread = (temperature(model) * logits(model, input_format.quantized_real(split.x_train))).std()
        assert 0.4 < spread < 2.5
