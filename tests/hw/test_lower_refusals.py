"""What lowering refuses, by name and with what to do."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from qkeras_layers import act, dense, drawn, exact, lowered, norm, q, sequence

from codesign.errors import ModelError
from hw.schedule import stages

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


def refused(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        lowered(model)


def test_kernels_that_are_not_ternary_are_refused() -> None:
    from quant.tf import qkeras

    model = sequence(dense("wide", kernel_quantizer=qkeras.quantized_bits(4, 0, alpha=1)))
    model.get_layer("wide").set_weights([np.full((6, 4), 0.375, np.float32)])
    refused(model, "layer 'wide' (Dense) has weight 0.375, which is not -1, 0 or +1; quantize its kernel with ternary")


def test_a_depthwise_kernel_whose_scales_are_no_powers_of_two_is_refused_for_its_alpha() -> None:
    from qkeras_images import model

    from quant.tf import qkeras

    kernel = q("ternary(alpha='auto')")
    network = model((4, 4, 2), qkeras.QDepthwiseConv2D(2, depthwise_quantizer=kernel, use_bias=False, name="d"))
    network.get_layer("d").set_weights([np.full((2, 2, 2, 1), 0.75, np.float32)])
    with pytest.raises(
        ModelError,
        match=r"layer 'd' \(DepthwiseConv2D\) has a kernel with alpha='auto', which scales a channel by 0.7\d+, no "
        "power of two; give it alpha='auto_po2' or a power of two, and train on",
    ):
        lowered(network)


@pytest.mark.parametrize(
    ("quantizer", "named"),
    [
        ("quantized_relu(32,16)", "quantized_relu with bits=32"),
        ("quantized_relu(4,32)", "quantized_relu with integer=32"),
        ("quantized_bits(8,32,alpha=1)", "quantized_bits with integer=32"),
    ],
)
def test_formats_of_which_qkeras_makes_no_number_are_refused(quantizer: str, named: str) -> None:
    what = named.split()[-1].split("=")[0]
    refused(
        sequence(dense("d"), act("r", q(quantizer))),
        f"layer 'r': {named} gives NaN in QKeras, which computes 2**{what} as an int32; use 31 or less",
    )


@pytest.mark.parametrize(("place", "what"), [(0, "weight nan"), (1, "bias nan")])
def test_weights_that_diverged_are_refused(place: int, what: str) -> None:
    from quant.tf import qkeras

    model = sequence(qkeras.QDense(4, kernel_quantizer=qkeras.ternary(alpha=1, threshold=0.5), name="d"))
    weights = model.get_layer("d").get_weights()
    weights[place].flat[0] = np.nan
    model.get_layer("d").set_weights(weights)
    refused(model, f"layer 'd' has the {what}: its training diverged, or the file is damaged")


def test_scales_that_are_no_power_of_two_are_refused() -> None:
    from quant.tf import keras

    model = drawn(sequence(dense("d"), keras.layers.BatchNormalization(epsilon=0, name="norm")))
    model.get_layer("norm").set_weights([np.full(4, 0.75), np.zeros(4), np.zeros(4), np.ones(4)])
    refused(model, "layer 'norm' (BatchNormalization) scales channel 1 by 0.75, which is no power of two")


def test_a_threshold_on_a_tie_is_refused() -> None:
    from quant.tf import qkeras

    model = sequence(dense("d"), qkeras.QActivation(qkeras.ternary(alpha=1, threshold=0.75), name="tie"))
    refused(
        model,
        "layer 'tie' has threshold 0.75, a value its input can take: QKeras tests >=, hls4ml >; "
        "move it between two steps of 2**-4, e.g. to 0.7734375",
    )


def test_the_suggested_threshold_is_accepted_and_one_that_float32_takes_for_a_tie_is_not() -> None:
    below = 0.25 - 2.0**-40
    refused(
        sequence(dense("d"), act("t", q(f"ternary(alpha=1,threshold={below!r})"))),
        f"layer 't' has threshold {below!r}, a value its input can take: QKeras tests >=, hls4ml >; "
        "move it between two steps of 2**-4, e.g. to 0.2734375",
    )
    exact(drawn(sequence(dense("d"), act("t", q("ternary(alpha=1,threshold=0.2734375)")))))


def test_where_float32_has_no_threshold_off_the_lattice_that_is_said() -> None:
    fine = sequence(dense("d"), norm("n", 2.0**-20, 0.0), act("t", q("ternary(alpha=1,threshold=0.3)")))
    refused(
        drawn(fine),
        "layer 't' has threshold 0.3, a value its input can take: QKeras tests >=, hls4ml >; float32 has none between "
        "two steps of 2**-24 there: give its input fewer fractional bits",
    )


def test_unsupported_layers_are_named() -> None:
    from quant.tf import keras

    model = sequence(dense("d"), keras.layers.Activation("softmax", name="soft"))
    refused(
        model, "layer 'soft' (Activation, activation 'softmax') is not supported; leave it out: the largest output is"
    )


def test_a_second_activation_needs_a_dense_layer_between() -> None:
    graph = lowered(sequence(dense("d", activation="relu"), act("t", "ternary(alpha=1,threshold=0.3)")))
    with pytest.raises(ModelError, match="layer 't' follows the activation 'd_relu'; put a dense layer between"):
        stages(graph)


def test_a_second_quantizer_of_the_input_is_refused() -> None:
    graph = lowered(sequence(act("again", "quantized_relu(2,0)"), dense("d")))
    message = "layer 'again' (quantize) changes the quantized input before the first dense layer; leave it out, or let"
    with pytest.raises(ModelError, match=re.escape(message)):
        stages(graph)


def test_sums_that_float32_would_round_are_refused() -> None:
    model = drawn(sequence(dense("d"), norm("n", 1.0, [2.0**-24, 2.0**-24, 0.0, 0.0])))
    with pytest.raises(ModelError, match=r"layer 'n' needs 27 bits for unit 1; float32 QKeras is exact up to 24"):
        exact(model)


def test_an_input_of_too_many_bits_is_told_so() -> None:
    wide = drawn(sequence(dense("d"), bits="quantized_bits(28,0,alpha=1)"))
    with pytest.raises(ModelError, match=r"needs 2[89] bits for unit 0; .* is exact up to 24: use fewer bits$"):
        exact(wide)


def test_the_finer_steps_of_an_activation_are_counted() -> None:
    """Sums of 24 bits fit float32, their difference to 0.25 does not."""
    fine = act("a", "ternary(alpha=0.25,threshold=0.3)")
    wide = drawn(sequence(dense("d"), norm("n", 32.0, 0.0), fine, bits="quantized_bits(16,16,keep_negative=0,alpha=1)"))
    with pytest.raises(ModelError, match=r"layer 'a' needs 26 bits for unit 1; float32 QKeras is exact up to 24"):
        exact(wide)


REFUSED = {
    "alpha": (
        lambda: (dense("d", kernel_quantizer=q("ternary(alpha=0.75,threshold=0.5)")),),
        "layer 'd_alpha' (ApplyAlpha) scales channel 1 by 0.75, which is no power of two",
    ),
    "scale": (
        lambda: (dense("d"), norm("n", [1.0, 0.7, 1.0, 1.0], 0.0)),
        "layer 'n' (BatchNormalization) scales channel 1 by 0.699999988, which is no power of two",
    ),
    "negative scale after an activation": (
        lambda: (dense("d"), act("a", "quantized_relu(3,1)"), norm("n", [1.0, -1.0, 1.0, 1.0], 0.0)),
        "layer 'n' (BatchNormalization) scales channel 1 by -1 after 'a', which has no weights",
    ),
    "ternary output": (
        lambda: (dense("d"), act("a", "ternary(alpha=0.75,threshold=0.3)")),
        "layer 'a' has alpha=0.75 as an activation; use alpha=1 or another power of two",
    ),
    "threshold": (
        lambda: (dense("d"), act("a", "ternary(alpha=1,threshold=-0.3)")),
        "layer 'a' has threshold -0.3; a ternary activation needs one above 0",
    ),
    "binary of 0 and 1": (
        lambda: (dense("d"), act("a", "binary(use_01=True,alpha=1)")),
        "layer 'a' has use_01=True; only use_01=False is exact",
    ),
    "widely different scales": (
        lambda: (dense("d"), norm("n", [1.0, 2.0**-40, 2.0**20, 1.0], 0.0)),
        "layer 'n' scales its channels too differently: 2**-40 to 2**20",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused(name: str) -> None:
    layers, message = REFUSED[name]
    refused(drawn(sequence(*layers())), message)
