"""Models of users that are refused before hls4ml reads them: whole messages, naming the layer."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from codesign.errors import ModelError
from hw.accepted import inbound, require_supported

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


def dense(units: int, name: str, **arguments: Any) -> Any:
    from quant.tf import qkeras

    kernel = qkeras.ternary(alpha=1, threshold=0.5)
    return qkeras.QDense(units, kernel_quantizer=kernel, use_bias=False, name=name, **arguments)


def quantized(x: Any, text: str = "quantized_bits(4,0)", name: str = "q") -> Any:
    from quant.tf import qkeras

    return qkeras.QActivation(qkeras.get_quantizer(text), name=name)(x)


def chain(*layers: Any, shape: tuple[int | None, ...] = (6,), text: str = "quantized_bits(4,0)") -> Any:
    from quant.tf import keras

    x = inputs = keras.Input(shape, name="x")
    x = quantized(x, text)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name="mine")


def keras_layer(kind: str, *arguments: Any, **named: Any) -> Any:
    from quant.tf import keras

    return getattr(keras.layers, kind)(*arguments, **named)


def quantizer_in_activation() -> Any:
    from quant.tf import qkeras

    return chain(dense(4, "d"), keras_layer("Activation", qkeras.quantized_relu(4, 0), name="a"))


def plain_relu() -> Any:
    from quant.tf import qkeras

    return qkeras.QActivation("relu", name="r")


def two_inputs() -> Any:
    from quant.tf import keras

    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    added = keras_layer("Add", name="add")([quantized(a), quantized(b, name="r")])
    return keras.Model([a, b], dense(4, "d")(added), name="mine")


def two_outputs() -> Any:
    from quant.tf import keras

    a = keras.Input((6,), name="a")
    x = quantized(a)
    return keras.Model(a, [dense(4, "d")(x), dense(4, "e")(x)], name="mine")


def conv(name: str, rank: int = 2, **arguments: Any) -> Any:
    from quant.tf import qkeras

    quantizer = qkeras.ternary(alpha=1)
    return getattr(qkeras, f"QConv{rank}D")(2, 3, kernel_quantizer=quantizer, use_bias=False, name=name, **arguments)


def joined_rows() -> Any:
    from quant.tf import keras

    a = keras.Input((4, 4, 2), name="a")
    x = quantized(a)
    return keras.Model(a, keras_layer("Concatenate", axis=1, name="rows")([x, x]), name="mine")


def used_twice() -> Any:
    layer = dense(6, "d")
    return chain(layer, layer)


def nested() -> Any:
    return chain(dense(6, "d"), chain(dense(4, "e")))


def unbuilt() -> Any:
    from quant.tf import keras

    return keras.Sequential([dense(4, "d")], name="mine")


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "two inputs": (two_inputs, "model 'mine' has 2 inputs (a, b); build one of each"),
    "two outputs": (two_outputs, "model 'mine' has 2 outputs (d, e); build one of each"),
    "used twice": (used_twice, "layer 'd' is used 2 times; give each place a layer of its own"),
    "nested": (nested, "layer 'mine' (Functional) is not supported; supported: QDense"),
    "unbuilt": (unbuilt, "model 'mine' has no input shape yet; call it once or begin it with keras.Input"),
    "dynamic": (
        lambda: chain(dense(4, "d"), shape=(None, 6)),
        "the input has the dynamic shape (None, 6); give every dimension a size: hardware has as many wires",
    ),
    "four dimensions": (
        lambda: chain(dense(4, "d"), shape=(2, 3, 5, 6)),
        "the input has shape (2, 3, 5, 6); give a vector, (steps, channels) or (rows, columns, channels)",
    ),
    "channels first": (
        lambda: chain(conv("c", data_format="channels_first"), shape=(3, 6, 6)),
        "layer 'c' (QConv2D) has data_format='channels_first'; use channels_last",
    ),
    "dilation": (
        lambda: chain(conv("c", dilation_rate=2), shape=(9, 9, 2)),
        "layer 'c' (QConv2D) has dilation_rate=[2, 2]; only 1 is built",
    ),
    "causal padding": (
        lambda: chain(conv("c", rank=1, padding="causal"), shape=(9, 2)),
        "layer 'c' (QConv1D) has padding='causal'; use 'valid' or 'same'",
    ),
    "rows joined": (
        joined_rows,
        "layer 'rows' concatenates along axis 1; channels are the last: use axis=-1",
    ),
    "kept dimensions": (
        lambda: chain(keras_layer("GlobalMaxPooling2D", keepdims=True, name="g"), shape=(4, 4, 2)),
        "layer 'g' (GlobalMaxPooling2D) has keepdims=True, which hls4ml drops; use a Reshape behind it",
    ),
    "separable": (
        lambda: chain(keras_layer("SeparableConv2D", 2, 3, name="s"), shape=(9, 9, 2)),
        "layer 's' (SeparableConv2D) is not supported; use QDepthwiseConv2D and QConv2D with a kernel of 1",
    ),
    "softmax": (
        lambda: chain(dense(4, "d"), keras_layer("Activation", "softmax", name="soft")),
        "layer 'soft' (Activation, activation 'softmax') is not supported; leave it out: the largest output is the "
        "same without it; supported: QDense",
    ),
    "softmax in a dense layer": (
        lambda: chain(dense(4, "d", activation="softmax")),
        "layer 'd' (QDense, activation 'softmax') is not supported; leave it out",
    ),
    "softmax layer": (
        lambda: chain(dense(4, "d"), keras_layer("Softmax", name="soft")),
        "layer 'soft' (Softmax) is not supported; leave it out",
    ),
    "sigmoid": (
        lambda: chain(dense(4, "d", activation="sigmoid")),
        "layer 'd' (QDense, activation 'sigmoid') is not supported; supported: QDense, QConv1D",
    ),
    "relu with a limit": (
        lambda: chain(dense(4, "d"), keras_layer("ReLU", 6.0, name="r")),
        "layer 'r' (ReLU) is not supported; use Activation('relu'); supported: QDense",
    ),
    "quantizer in an Activation": (
        quantizer_in_activation,
        "layer 'a' is an Activation with quantized_relu, which hls4ml cannot read; use QActivation(quantized_relu(",
    ),
    **{
        f"{quantizer} in a QActivation": (
            lambda quantizer=quantizer: chain(dense(4, "d"), lambda x: quantized(x, quantizer, "a")),
            f"layer 'a' (QActivation, activation {quantizer!r}) is not supported; supported: QDense",
        )
        for quantizer in (
            *("stochastic_ternary", "stochastic_binary", "quantized_relu_po2", "quantized_po2", "quantized_ulaw"),
            *("quantized_tanh", "quantized_sigmoid", "quantized_hswish", "hard_tanh"),
        )
    },
    "stochastic ternary by its object": (
        lambda: chain(dense(4, "d"), lambda x: quantized(x, "stochastic_ternary(alpha=1)", "a")),
        "layer 'a' (QActivation, activation 'stochastic_ternary') is not supported; supported: QDense",
    ),
    "quantized_tanh in a dense layer": (
        lambda: chain(dense(4, "d", activation="quantized_tanh(4)")),
        "layer 'd' (QDense, activation 'quantized_tanh') is not supported; supported: QDense",
    ),
    "function in a dense layer": (
        lambda: chain(dense(4, "d", activation="hard_tanh")),
        "layer 'd' (QDense, activation 'hard_tanh') is not supported; supported: QDense",
    ),
    "relu in a QActivation": (
        lambda: chain(dense(4, "d"), plain_relu()),
        "layer 'r' (QActivation, activation 'relu') is not supported; use Activation('relu'); supported: QDense",
    ),
    **{
        f"{quantizer} input": (
            lambda quantizer=quantizer: chain(dense(4, "d"), text=quantizer),
            f"layer 'q' quantizes the input with {quantizer}, which leaves out values of every format; use quantized_b",
        )
        for quantizer in ("ternary", "binary")
    },
    "symmetric input": (
        lambda: chain(dense(4, "d"), text="quantized_bits(4,0,1)"),
        "layer 'q' quantizes the input with symmetric=1, which leaves out the format's lowest value; use symmetric=0",
    ),
    "sign as input": (
        lambda: chain(dense(4, "d"), text="quantized_bits(1,0)"),
        "layer 'q' quantizes the input to one signed bit, which to QKeras means -1 or +1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_hls4ml_would_misread_is_refused(name: str) -> None:
    model, message = CASES[name]
    with pytest.raises(ModelError, match=re.escape(message)):
        require_supported(model())


def test_a_chain_is_accepted_functional_and_sequential() -> None:
    from quant.tf import keras, qkeras

    tail = (dense(4, "d"), keras_layer("BatchNormalization", name="n"), keras_layer("Dropout", 0.1, name="drop"))
    require_supported(chain(*tail))
    layers = [keras.Input((6,)), qkeras.QActivation("quantized_bits(4,0)", name="q"), dense(4, "e", activation="relu")]
    require_supported(keras.Sequential(layers))


def test_what_is_asked_of_a_model_warns_of_nothing() -> None:
    model = chain(dense(4, "d"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_supported(model)
        assert list(inbound(model))[-1] == "d"


@pytest.mark.parametrize("shape", [(4, 4, 2), (6, 2), (5,)])
def test_channels_may_be_called_by_the_number_of_their_axis(shape: tuple[int, ...]) -> None:
    from quant.tf import keras

    a = keras.Input(shape, name="a")
    x = quantized(a)
    require_supported(keras.Model(a, keras_layer("Concatenate", axis=len(shape), name="c")([x, x])))
