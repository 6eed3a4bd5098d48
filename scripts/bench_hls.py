"""Benchmark of ``codesign measure --via rtl,hls,c`` on three networks with random ternary weights.

``scripts/bench hls --json FILE [--only NAME]``: our RTL beside hls4ml's HLS (whose columns stay empty without
Vitis HLS and Vivado) and the C model beside TensorFlow Lite on this processor. LeNet-5 takes several minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codesign.errors import CodesignError
from codesign.measured_words import announcing, print_measured
from codesign.measuring import measure
from quant.tf import keras, qkeras

VIA = ("rtl", "hls", "c")
INPUT = "quantized_bits(4,0,keep_negative=0,alpha=1)"
KERNEL = "ternary(alpha=1,threshold=0.5)"


def mlp() -> Any:
    """Digits: 64 inputs of 4 bits, 64 and 32 units of 3 bits, 10 outputs."""
    return _model((64,), [*_dense(64), *_dense(32), *_dense(10, last=True)])


def conv() -> Any:
    """Digits as images: two small convolutions, pooling, 10 outputs."""
    layers = [*_conv(8, 3), *_conv(16, 3), keras.layers.MaxPooling2D(2), keras.layers.Flatten()]
    return _model((8, 8, 1), [*layers, *_dense(10, last=True)])


def lenet() -> Any:
    """LeNet-5 (LeCun et al., 1998, figure 2) on 28 x 28 pixels of 4 bits, max pooling, activations of 3 bits."""
    layers = [*_conv(6, 5, "same"), keras.layers.MaxPooling2D(2), *_conv(16, 5), keras.layers.MaxPooling2D(2)]
    layers += [keras.layers.Flatten(), *_dense(120), *_dense(84), *_dense(10, last=True)]
    return _model((28, 28, 1), layers)


NETWORKS: dict[str, tuple[Callable[[], Any], int | None]] = {
    "mlp": (mlp, None),
    "conv": (conv, 64),
    "lenet": (lenet, 3200),
}
"""With the folding of each; None is parallel."""


def _dense(units: int, *, last: bool = False) -> list[Any]:
    layer = qkeras.QDense(units, kernel_quantizer=KERNEL, use_bias=False)
    return [layer] if last else [layer, qkeras.QActivation("quantized_relu(3,2)")]


def _conv(filters: int, size: int, padding: str = "valid") -> list[Any]:
    layer = qkeras.QConv2D(filters, size, padding=padding, kernel_quantizer=KERNEL, use_bias=False)
    return [layer, qkeras.QActivation("quantized_relu(3,2)")]


def _model(shape: tuple[int, ...], layers: list[Any]) -> Any:
    model = keras.Sequential([keras.layers.Input(shape), qkeras.QActivation(INPUT), *layers])
    rng = np.random.default_rng(1)
    for layer in model.layers:
        kernels = [rng.choice([-1, 0, 1], array.shape, p=[0.25, 0.5, 0.25]) for array in layer.get_weights()]
        layer.set_weights(kernels)
    return model


def compare(only: str | None = None) -> dict[str, Any]:
    """Figures by network; of one that could not be measured, the ``reason``."""
    found: dict[str, Any] = {}
    for name in [only] if only else NETWORKS:
        made, folding = NETWORKS[name]
        print(f"== {name}", flush=True)
        keras.backend.clear_session()
        try:
            with announcing() as stage:
                measured = measure(made(), folding=folding, via=VIA, stage=stage)
        except CodesignError as error:  # the others may still be measured
            print(f"{name}: {error}", flush=True)
            found[name] = {"reason": str(error)}
            continue
        print_measured(measured, None, as_json=False)
        found[name] = measured.to_json()
    return found
