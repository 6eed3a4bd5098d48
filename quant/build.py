"""Architecture -> training model: QKeras layers, dyadic normalization, quantized activations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.architecture import DROPOUT, Activation, Architecture, ConvLayer
from codesign.errors import ModelError

from .layers import DyadicNorm, RepeatableDropout, TernaryActivation
from .quantizers import BinaryWeights, LatticeBias, TernaryWeights
from .scaling import InputFormat
from .tf import keras, qkeras

Model = Any


WEIGHTED = (qkeras.QDense, qkeras.QConv2D)
"""Layers with a kernel that is quantized."""


@dataclass(frozen=True)
class Signal:
    """What a layer gives: a step between two values, their rough mean square, and the range they lie in."""

    lsb: float
    power: float
    low: float
    high: float

    @classmethod
    def of_inputs(cls, kind: InputFormat) -> Signal:
        """The network's input."""
        lsb = 2.0**-kind.frac
        return cls(lsb, 1 / 3, kind.low * lsb, kind.high * lsb)

    @classmethod
    def of(cls, kind: Activation) -> Signal:
        """An activation's values."""
        if kind == "ternary":
            return cls(1.0, 0.5, -1.0, 1.0)
        lsb = 2.0 ** -int(kind)
        return cls(lsb, 0.15, 0.0, 1 - lsb)

    def joined(self, other: Signal, channels: int, others: int) -> Signal:
        """Both, one behind the other."""
        power = (channels * self.power + others * other.power) / (channels + others)
        return Signal(min(self.lsb, other.lsb), power, min(self.low, other.low), max(self.high, other.high))


def build(architecture: Architecture, input_format: InputFormat, seed: int = 0) -> Model:
    """The trainable model: real inputs on the lattice (samples, inputs or image) -> logits (samples, outputs).

    Its inference pass equals that of the canonical model, value for value. Weights are drawn by NumPy from ``seed``,
    so that they do not depend on what TensorFlow drew before.
    """
    check_inputs(architecture, input_format)
    x = inputs = keras.layers.Input(architecture.image or (architecture.inputs,), name="x")
    signal = Signal.of_inputs(input_format)
    for i, conv in enumerate(architecture.convolutions):
        weighted = _weighted(architecture, qkeras.QConv2D, conv.filters, f"conv_{i}", **window(conv))
        y = _activated(architecture, weighted(x), conv.activation, conv.kernel**2 * x.shape[-1], signal, f"conv_{i}")
        given = Signal.of(conv.activation)
        if conv.joined:
            y = RepeatableDropout(DROPOUT, seed * 100 + i, name=f"conv_{i}_dropout")(y)
            signal = signal.joined(given, x.shape[-1], conv.filters)
        else:
            signal = given
        x = image_layers(i, conv, x, y)
    if architecture.convolutions:
        x = keras.layers.Flatten(name="flat")(x)
    for i, layer in enumerate(architecture.hidden):
        weighted = _weighted(architecture, qkeras.QDense, layer.units, f"dense_{i}")
        x = _activated(architecture, weighted(x), layer.activation, x.shape[-1], signal, str(i))
        signal = Signal.of(layer.activation)
    temperature = _unit_scale(x.shape[-1] * weight_density(architecture), signal.power)
    bias = {"use_bias": True, "bias_quantizer": LatticeBias(signal.lsb, 1 / temperature)}
    x = _weighted(architecture, qkeras.QDense, architecture.outputs, "logits", **bias)(x)
    model = keras.Model(inputs, x)
    _draw_weights(model, seed)
    return model


def window(layer: ConvLayer) -> dict[str, Any]:
    """What a convolution has beside a dense layer."""
    return {"kernel_size": layer.kernel, "padding": "same"}


def image_layers(i: int, layer: ConvLayer, x: Any, y: Any) -> Any:
    """What follows the activation ``y`` of convolution ``i``, which read ``x``: joining and pooling."""
    if layer.joined:
        y = keras.layers.Concatenate(name=f"conv_{i}_join")([x, y])
    return keras.layers.MaxPooling2D(layer.pool, name=f"conv_{i}_pool")(y) if layer.pool > 1 else y


def _weighted(architecture: Architecture, kind: Any, units: int, name: str, **options: Any) -> Any:
    options = {"use_bias": False, "kernel_initializer": "zeros", **options}
    return kind(units, kernel_quantizer=_weights(architecture), name=name, **options)


def _activated(architecture: Architecture, sums: Any, kind: Activation, fan_in: int, read: Signal, end: str) -> Any:
    """Normalization and activation of sums over ``fan_in`` values like ``read``; ``end`` is that of the names."""
    scale = 1.0 if kind == "ternary" else 0.5
    if not architecture.batch_norm:
        scale *= _unit_scale(fan_in * weight_density(architecture), read.power)
    y = DyadicNorm(read.lsb, scale, normalize=architecture.batch_norm, name=f"norm_{end}")(sums)
    return activation(kind, f"act_{end}")(y)


def temperature(model: Model) -> float:
    """The power of two that training multiplies the logits with before the loss."""
    return 1 / float(model.get_layer("logits").bias_quantizer_internal.gain)


def activation(kind: Activation, name: str) -> Any:
    """The activation layer of the training model."""
    if kind == "ternary":
        return TernaryActivation(name=name)
    return qkeras.QActivation(qkeras.quantized_relu(int(kind), 0), name=name)


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
        if isinstance(layer, WEIGHTED):
            kernel = rng.normal(0.0, 0.3, layer.kernel.shape).clip(-1, 1).astype(np.float32)
            layer.kernel.assign(kernel)
