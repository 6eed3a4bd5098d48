"""Each construct said to be computed otherwise by hls4ml: its C simulation differs, and the reason is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import CLOCK, PART

from codesign.errors import ToolRunError
from hw.hls4ml_differences import known_differences
from hw.hls4ml_flow import c_simulation

UNITS = 3
IMAGE = (2, 2, UNITS)


def q(text: str) -> Any:
    from quant.tf import qkeras

    return qkeras.get_quantizer(text)


def act(text: str) -> Any:
    from quant.tf import qkeras

    return qkeras.QActivation(q(text), name="act")


def dense(name: str, *, alpha: float = 1, **arguments: Any) -> Any:
    from quant.tf import qkeras

    kernel = q(f"ternary(alpha={alpha},threshold=0.5)")
    return qkeras.QDense(UNITS, kernel_quantizer=kernel, use_bias=False, name=name, **arguments)


def conv(name: str) -> tuple[Any, ...]:
    """One that makes of the four inputs an image of UNITS channels."""
    from quant.tf import keras, qkeras

    kernel = q("ternary(alpha=1,threshold=0.5)")
    return keras.layers.Reshape((2, 2, 1)), qkeras.QConv2D(UNITS, 1, kernel_quantizer=kernel, use_bias=False, name=name)


def depthwise(name: str) -> tuple[Any, ...]:
    from quant.tf import keras, qkeras

    kernel = q("ternary(alpha=1,threshold=0.5)")
    layer = qkeras.QDepthwiseConv2D(2, depthwise_quantizer=kernel, use_bias=False, name=name)
    return keras.layers.Reshape((2, 2, 1)), layer


def flatten() -> Any:
    from quant.tf import keras

    return keras.layers.Flatten()


def pool() -> Any:
    from quant.tf import keras

    return keras.layers.MaxPooling2D((1, 2))


def norm(gamma: Any, beta: float, shape: tuple[int, ...] = (UNITS,)) -> Any:
    from quant.tf import keras

    layer = keras.layers.BatchNormalization(epsilon=0, name="norm")
    layer.build((None, *shape))
    layer.set_weights([np.broadcast_to(np.float32(values), UNITS) for values in (gamma, beta, 0, 1)])
    return layer


def dropout() -> Any:
    from quant.tf import keras

    return keras.layers.Dropout(0.1)


def network(frac: int, *layers: Any) -> Any:
    """The layers between an input of 4 signed bits, ``frac`` of them after the point, and a last dense layer."""
    from quant.tf import keras, qkeras

    x = inputs = keras.layers.Input((4,), name="x")
    x = qkeras.QActivation(qkeras.quantized_bits(4, 3 - frac, alpha=1), name="input_quant")(x)
    for layer in (*layers, dense("logits")):
        x = layer(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, qkeras.QDense | qkeras.QConv2D | qkeras.QDepthwiseConv2D):
            (kernel,) = layer.get_weights()
            layer.set_weights([rng.integers(-1, 2, kernel.shape) | np.eye(*kernel.shape[-2:], dtype=int)])
    return model


def differing(model: Any, frac: int, folder: Path) -> int:
    """Number of input vectors on which hls4ml's C simulation differs from QKeras."""
    x = np.ldexp(np.random.default_rng(1).integers(-8, 8, (300, 4)).astype(np.float32), -frac)
    found = c_simulation(model, x, folder, PART, CLOCK)
    return int((found != model(x).numpy()).any(axis=1).sum())


MERGED = "quantized_bits right behind unquantized sums is taken out by hls4ml's merge_linear_activation pass"
NEGATIVE = "a negative scale in 'norm' turns the ternary comparison round"
ZERO = "a scale of 0 in 'norm' leaves the ternary comparison without a threshold"
BINARY = "a binary activation after 'norm' is converted inexactly"
HALF = "a ternary threshold of exactly {}, half of all scales, is never applied"
TERNARY, EXACT = "ternary(alpha=1,threshold=0.33)", [1, 2, 0.5]
slow = pytest.mark.slow

DIFFERENT: dict[str, tuple[int, Callable[[], tuple[Any, ...]], str]] = {
    "quantized_bits": (3, lambda: (dense("d"), act("quantized_bits(3,0,alpha=1)")), f"layer 'act': {MERGED}"),
    "quantized_bits as argument": (
        *(3, lambda: (dense("d", activation=q("quantized_bits(3,0,alpha=1)")),)),
        f"layer 'd': {MERGED}",
    ),
    "quantized_bits behind a norm": (
        *(3, lambda: (dense("d"), norm(EXACT, 0.25), act("quantized_bits(3,0,alpha=1)"))),
        f"layer 'act': {MERGED}",
    ),
    "quantized_bits behind a relu": (
        *(3, lambda: (dense("d", activation="relu"), dropout(), act("quantized_bits(3,0,alpha=1)"))),
        f"layer 'act': {MERGED}",
    ),
    "half": (0, lambda: (dense("d"), act("ternary(alpha=1,threshold=0.5)")), f"layer 'act': {HALF.format(0.5)}"),
    "half a scale": (
        *(0, lambda: (dense("d"), norm(0.5, 1.0), dropout(), act("ternary(alpha=1,threshold=0.25)"))),
        f"layer 'act': {HALF.format(0.25)}",
    ),
    "half an alpha": (
        *(0, lambda: (dense("d", alpha=0.5), act("ternary(alpha=1,threshold=0.25)"))),
        f"layer 'act': {HALF.format(0.25)}",
    ),
    "negative": (3, lambda: (dense("d"), norm([1, -2, 0.5], 2**-6), act(TERNARY)), f"layer 'act': {NEGATIVE}"),
    "zero": (3, lambda: (dense("d"), norm([1, 0, 0.5], 2**-6), dropout(), act(TERNARY)), f"layer 'act': {ZERO}"),
    "binary": (3, lambda: (dense("d"), norm(EXACT, 2**-6), act("binary(alpha=1)")), f"layer 'act': {BINARY}"),
    "quantized_bits behind a convolution": (
        *(3, lambda: (*conv("c"), act("quantized_bits(3,0,alpha=1)"), flatten())),
        f"layer 'act': {MERGED}",
    ),
    "quantized_bits behind a depthwise convolution": (
        *(3, lambda: (*depthwise("c"), act("quantized_bits(3,0,alpha=1)"), flatten())),
        f"layer 'act': {MERGED}",
    ),
    "negative behind a convolution": (
        *(3, lambda: (*conv("c"), norm([1, -2, 0.5], 2**-6, IMAGE), act(TERNARY), flatten())),
        f"layer 'act': {NEGATIVE}",
    ),
    "binary behind a convolution": (
        *(3, lambda: (*conv("c"), norm(EXACT, 2**-6, IMAGE), act("binary(alpha=1)"), flatten())),
        f"layer 'act': {BINARY}",
    ),
    "half behind a pool": (
        *(0, lambda: (*conv("c"), pool(), act("ternary(alpha=1,threshold=0.5)"), flatten())),
        f"layer 'act': {HALF.format(0.5)}",
    ),
}
SAME: dict[str, tuple[int, Callable[[], tuple[Any, ...]]]] = {
    "powers of two": (3, lambda: (dense("d"), norm(EXACT, 2**-6), act(TERNARY))),
    "half of one scale": (0, lambda: (dense("d"), norm(EXACT, 0.0), act("ternary(alpha=1,threshold=0.25)"))),
    "zero before a relu": (3, lambda: (dense("d"), norm([1, 0, 0.5], 2**-6), act("quantized_relu(3,1)"))),
    "negative before a relu": (3, lambda: (dense("d"), norm([1, -1, 0.5], 2**-6), act("quantized_relu(3,1)"))),
    "no fractional bits": (3, lambda: (dense("d"), act("quantized_relu(2,2)"))),
    "binary": (3, lambda: (dense("d"), act("binary(alpha=1)"))),
    "quantized_bits behind a quantizer": (
        *(3, lambda: (dense("d", activation=q("quantized_relu(4,2)")), dropout(), act("quantized_bits(3,2,alpha=1)"))),
    ),
    "quantized_bits behind a pool": (3, lambda: (*conv("c"), pool(), act("quantized_bits(3,0,alpha=1)"), flatten())),
    "negative before a pool": (
        *(3, lambda: (*conv("c"), norm([1, -2, 0.5], 2**-6, IMAGE), pool(), act(TERNARY), flatten())),
    ),
}
SHOWN = ("quantized_bits behind a convolution", "half a scale", "zero")


@pytest.mark.parametrize("name", [name if name in SHOWN else pytest.param(name, marks=slow) for name in DIFFERENT])
def test_the_c_simulation_differs(name: str, tmp_path: Path) -> None:
    frac, layers, _ = DIFFERENT[name]
    assert differing(network(frac, *layers()), frac, tmp_path) > 30


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_the_c_simulation_is_exact(name: str, tmp_path: Path) -> None:
    frac, layers = SAME[name]
    assert differing(network(frac, *layers()), frac, tmp_path) == 0


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_reason_is_named(name: str) -> None:
    frac, layers, reason = DIFFERENT[name]
    assert known_differences(network(frac, *layers())) == [reason]


@pytest.mark.parametrize("name", SAME)
def test_nothing_is_said_of_what_is_exact(name: str) -> None:
    frac, layers = SAME[name]
    assert known_differences(network(frac, *layers())) == []


def test_a_model_that_ends_the_c_simulation_ends_nothing_else(tmp_path: Path) -> None:
    from quant.tf import keras, qkeras

    kernel = q("ternary(alpha=1,threshold=0.5)")
    twice = qkeras.QDepthwiseConv2D(1, depth_multiplier=2, depthwise_quantizer=kernel, use_bias=False, name="twice")
    model = keras.Sequential([keras.Input(IMAGE), act("quantized_bits(4,3,alpha=1)"), twice, flatten()])
    x = np.zeros((3, *IMAGE), np.float32)
    with pytest.raises(ToolRunError, match=r"C simulation could not be run: only a depth multiplier of 1 is currently"):
        c_simulation(model, x, tmp_path, PART, CLOCK)
