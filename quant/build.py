"""Architecture -> training model: QKeras dense layers, dyadic normalization, quantized activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codesign.architecture import Activation, Architecture
from codesign.errors import ModelError

from .layers import DyadicNorm, TernaryActivation
from .quantizers import BinaryWeights, LatticeBias, TernaryWeights
from .scaling import InputFormat
from .tf import keras, qkeras

Model = Any


def build(architecture: Architecture, input_format: InputFormat, seed: int = 0) -> Model:
    """The trainable model: real inputs on the lattice (samples, inputs) -> logits (samples, outputs).

    Its inference pass equals that of the canonical model, value for value. Weights are drawn by NumPy from ``seed``,
    so that they do not depend on what TensorFlow drew before.
    """
    check_inputs(architecture, input_format)
    x = inputs = keras.layers.Input((architecture.inputs,), name="x")
    lsb, power, dense = 2.0**-input_format.frac, 1 / 3, weight_density(architecture)
    fan_in = architecture.inputs
    for i, layer in enumerate(architecture.hidden):
        x = qkeras.QDense(
            layer.units,
            kernel_quantizer=_weights(architecture),
            kernel_initializer="zeros",
            use_bias=False,
            name=f"dense_{i}",
        )(x)
        spread = 1.0 if layer.activation == "ternary" else 0.5
        scale = spread if architecture.batch_norm else spread * _unit_scale(fan_in * dense, power)
        x = DyadicNorm(lsb, scale, normalize=architecture.batch_norm, name=f"norm_{i}")(x)
        x = activation(layer.activation, f"act_{i}")(x)
        lsb, power = lattice(layer.activation), mean_square(layer.activation)
        fan_in = layer.units
    temperature = _unit_scale(fan_in * dense, power)
    x = qkeras.QDense(
        architecture.outputs,
        kernel_quantizer=_weights(architecture),
        kernel_initializer="zeros",
        bias_quantizer=LatticeBias(lsb, 1 / temperature),
        name="logits",
    )(x)
    model = keras.Model(inputs, x)
    _draw_weights(model, seed)
    return model


def temperature(model: Model) -> float:
    """The power of two that training multiplies the logits with before the loss."""
    return 1 / float(model.get_layer("logits").bias_quantizer_internal.gain)


def activation(kind: Activation, name: str) -> Any:
    """The activation layer of the training model."""
    if kind == "ternary":
        return TernaryActivation(name=name)
    return qkeras.QActivation(qkeras.quantized_relu(int(kind), 0), name=name)


def lattice(kind: Activation) -> float:
    """The step between two values of an activation."""
    return 1.0 if kind == "ternary" else 2.0 ** -int(kind)


def mean_square(kind: Activation) -> float:
    """The rough mean square of an activation's values, for the scale of the sums over them."""
    return 0.5 if kind == "ternary" else 0.15


def check_inputs(architecture: Architecture, input_format: InputFormat) -> None:
    """Raise ModelError where the architecture and the format are not for the same inputs."""
    if (architecture.inputs, architecture.input_bits) != (len(input_format.gain), input_format.bits):
        raise ModelError(
            f"the architecture reads {architecture.inputs} inputs of {architecture.input_bits} bits, "
            f"but the input format has {len(input_format.gain)} of {input_format.bits} bits"
        )


def weight_density(architecture: Architecture) -> float:
    """Share of non-zero weights at the start, to two digits: P(|w| > threshold * mean|w|) of normal weights."""
    if architecture.weights == "binary":
        return 1.0
    return round(math.erfc(architecture.training.threshold / math.sqrt(math.pi)), 2)


def _weights(architecture: Architecture) -> Any:
    if architecture.weights == "binary":
        return BinaryWeights()
    return TernaryWeights(factor=architecture.training.threshold)


def _unit_scale(terms: float, power: float) -> float:
    """The power of two that brings a sum over ``terms`` values of mean square ``power`` to about unit variance."""
    return float(2.0 ** round(-0.5 * math.log2(terms * power)))


def _draw_weights(model: Model, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, qkeras.QDense):
            kernel = rng.normal(0.0, 0.3, layer.kernel.shape).clip(-1, 1).astype(np.float32)
            layer.kernel.assign(kernel)
