from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from codesign.errors import DataError
from quant.scaling import InputFormat, fit

finite = st.floats(-1e6, 1e6, allow_nan=False)
tables = arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(1, 4)), elements=finite)
bits = st.integers(1, 8)


@given(tables, st.sampled_from(["minmax", "standard"]), bits)
def test_integers_stay_in_range_and_real_values_on_the_lattice(x, scale, width):
    form = fit(x, scale, width)
    for values in (x, x * 1e3, -x):
        k = form.quantize(values)
        assert k.dtype == np.int64
        assert form.low <= k.min()
        assert k.max() <= form.high
        real = form.real(k)
        assert real.dtype == np.float32
        assert np.abs(real).max() <= 1
        assert real.max() < 1
        assert np.array_equal(real.astype(np.float64) * 2.0**form.frac, k)
        assert np.array_equal(form.quantized_real(values), real)


@given(tables, bits)
def test_minmax_uses_every_code_from_end_to_end(x, width):
    form = fit(x, "minmax", width)
    k = form.quantize(x)
    for column, codes, gain in zip(x.T, k.T, form.gain, strict=True):
        if gain:
            assert codes[column.argmin()] == 0
            assert codes[column.argmax()] == 2**width - 1
        else:
            assert not codes.any()


@given(tables, st.sampled_from(["minmax", "standard"]), bits)
def test_quantization_keeps_the_order(x, scale, width):
    form = fit(x, scale, width)
    order = np.sort(x, axis=0)
    assert (np.diff(form.quantize(order), axis=0) >= 0).all()


@given(tables, st.sampled_from(["minmax", "standard"]), bits)
def test_json_round_trip(x, scale, width):
    form = fit(x, scale, width)
    assert InputFormat.from_json(json.loads(json.dumps(form.to_json()))) == form


def test_json_keys_are_closed():
    values = fit(np.eye(2), "minmax", 2).to_json()
    with pytest.raises(ValueError, match="^input format: keys "):
        InputFormat.from_json({**values, "extra": 1})


def test_minmax_of_known_values():
    form = fit(np.array([[0.0, 5.0], [16.0, 5.0]]), "minmax", 4)
    assert (form.signed, form.frac, form.gain) == (False, 4, (15 / 16, 0.0))
    assert form.quantize(np.array([[8.0, 9.0], [99.0, 5.0], [-1.0, 5.0]])).tolist() == [[8, 0], [15, 0], [0, 0]]


def test_images_share_one_range_per_channel():
    x = np.array([[0, 10, 4, 10], [8, 30, 2, 20]], np.uint8)  # two pixels, two channels
    form = fit(x, "minmax", 3, image_shape=(1, 2, 2))
    assert form.offset == (0, 10, 0, 10)
    assert form.gain == (7 / 8, 7 / 20, 7 / 8, 7 / 20)


def test_standard_is_centered_and_reaches_further_with_more_bits():
    x = np.random.default_rng(0).normal(5, 2, (20_000, 1))
    for width, reach in ((2, 2.0), (5, 3.0), (8, 4.0)):
        form = fit(x, "standard", width)
        assert (form.signed, form.frac) == (True, width - 1)
        assert form.quantize(np.array([[5.0]])).tolist() == [[0]]
        assert 2 ** (width - 1) / form.gain[0] / x.std() == pytest.approx(reach)


@pytest.mark.parametrize("width", [2, 3, 4, 5, 6, 7, 8])
def test_standard_reach_is_near_the_best_for_normal_data(width):
    x = np.random.default_rng(1).normal(size=20_000)

    def error(reach):
        step = reach / 2 ** (width - 1)
        k = np.clip(np.rint(x / step), -(2 ** (width - 1)), 2 ** (width - 1) - 1)
        return np.mean((k * step - x) ** 2)

    chosen = error(2 + (width - 2) / 3)
    assert chosen <= 1.15 * min(error(reach) for reach in np.arange(1.0, 6.0, 0.1))


def test_one_bit_of_standard_says_above_the_mean():
    x = np.array([[1.0], [2.0], [6.0]])
    form = fit(x, "standard", 1)
    assert (form.signed, form.frac) == (False, 1)
    assert form.quantize(np.array([[2.9], [3.1]])).tolist() == [[0], [1]]


def test_none_takes_values_as_they_are():
    unsigned = fit(np.array([[0.0], [1.0]]), "none", 3)
    assert unsigned.quantize(np.array([[0.25], [1.0], [0.5]])).tolist() == [[2], [7], [4]]
    signed = fit(np.array([[-1.0], [0.5]]), "none", 3)
    assert (signed.signed, signed.frac) == (True, 2)
    assert signed.quantize(np.array([[-1.0], [0.5], [1.0]])).tolist() == [[-4], [2], [3]]
    sign = fit(np.array([[-1.0], [0.5]]), "none", 1)
    assert sign.quantize(np.array([[-0.4], [0.0], [0.4]])).tolist() == [[0], [0], [1]]


@pytest.mark.parametrize(("x", "reach"), [([[0.0], [16.0]], "from 0 to 16"), ([[-1.5], [0.0]], "from -1.5 to 0")])
def test_none_refuses_other_ranges(x, reach):
    message = (
        f"data.scale = 'none' needs values in [0, 1] or [-1, 1], but these reach {reach}: use data.scale = 'minmax'"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        fit(np.array(x), "none", 4)


@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_features_that_no_float_can_scale(scale):
    x = np.array([[0.0, 1e308, 5.0], [1.0, -1e308, 5.0]])
    message = (
        "feature 1 (the first is 0) reaches from -1e+308 to 1e+308, too large to be scaled: divide it so that it stays "
        "within +-1e+150"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        fit(x, scale, 4)
    with pytest.raises(DataError, match=r"^channel 0 \(the first is 0\) reaches from 5 to 1e\+308, too large"):
        fit(x[:, 1:] * [[0, 1], [-1, 1]] + [[1e308, 0], [0, 0]], scale, 4, image_shape=(1, 2, 1))


@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_the_largest_features_are_scaled_and_any_sample_saturates(scale):
    form = fit(np.array([[-1e150, 0.0, 5.0], [1e150, 1e-100, 5.0]]), scale, 4)
    most = np.finfo(np.float64).max
    k = form.quantize(np.array([[most] * 3, [-most] * 3]))
    assert k.tolist() == [[form.high, form.high, 0], [form.low, form.low, 0]]


@pytest.mark.parametrize("width", [0, 9])
def test_bits_out_of_range(width):
    with pytest.raises(DataError, match=f"^input bits must be 1 to 8, not {width}$"):
        fit(np.eye(2), "minmax", width)


def test_unknown_scale_suggests():
    with pytest.raises(DataError, match=r"^unknown data\.scale 'minmaxx': did you mean minmax\?$"):
        fit(np.eye(2), "minmaxx", 4)
