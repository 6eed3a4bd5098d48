"""Canonical QKeras model: what was trained, as constructs that hls4ml converts exactly."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Activation, Architecture, Weights
from codesign.errors import ModelError

from .build import Signal, check_inputs, image_layers, window
from .network_files import FORMAT_FILE, MODEL_FILE
from .scaling import InputFormat
from .tf import keras, qkeras

Model = Any
Floats = NDArray[np.float32]

EXACT = 2.0**24
"""float32 computes exactly with integers below this magnitude."""
_BATCH = 8192


def canonicalize(model: Model, architecture: Architecture, input_format: InputFormat) -> Model:
    """The canonical model of a trained (or just built) one; its logits are those of the model's inference.

    Layers: ``x, input_quant``, per hidden layer ``dense_i`` (weights -1, 0, +1), ``norm_i`` (batch normalization with
    mean 0, variance 1, gamma a positive power of two, beta on the accumulator's lattice), ``act_i``; then ``logits``.
    Before them, per convolution, ``conv_i, norm_conv_i, act_conv_i``, joining and pooling; then ``flat``.
    Raises ModelError where a float32 sum could need more than 24 bits, since it would not be exact then.
    """
    check_inputs(architecture, input_format)
    x = inputs = keras.layers.Input(architecture.image or (architecture.inputs,), name="x")
    signed = int(input_format.signed)
    x = qkeras.QActivation(
        qkeras.quantized_bits(
            input_format.bits, input_format.bits - signed - input_format.frac, keep_negative=signed, alpha=1
        ),
        name="input_quant",
    )(x)
    copy = _Copy(model, architecture.weights)
    signal = Signal.of_inputs(input_format)
    for i, conv in enumerate(architecture.convolutions):
        weighted = copy.layer(qkeras.QConv2D, conv.filters, f"conv_{i}", **window(conv))
        y, given = copy.activated(weighted(x), conv.activation, f"conv_{i}", f"conv_{i}", signal)
        signal = signal.joined(given, x.shape[-1], conv.filters) if conv.joined else given
        x = image_layers(i, conv, x, y)
    if architecture.convolutions:
        x = keras.layers.Flatten(name="flat")(x)
    for i, layer in enumerate(architecture.hidden):
        weighted = copy.layer(qkeras.QDense, layer.units, f"dense_{i}")
        x, signal = copy.activated(weighted(x), layer.activation, f"dense_{i}", str(i), signal)
    trits, bias = _unit_weights(model, "logits"), _bias(model)
    _check_exact("logits", trits, np.ones_like(bias), bias, signal, signal.lsb)
    copy.weights["logits"] = [trits, bias]
    options = {"use_bias": True, "bias_quantizer": _bias_quantizer(bias, signal.lsb)}
    x = copy.layer(qkeras.QDense, architecture.outputs, "logits", **options)(x)
    canonical = keras.Model(inputs, x, name="canonical")
    for name, values in copy.weights.items():
        canonical.get_layer(name).set_weights(values)
    return canonical


class _Copy:
    """Layers of the canonical model, and the weights that they get once it is whole."""

    def __init__(self, model: Model, kind: Weights) -> None:
        self.model = model
        self.kind = kind
        self.weights: dict[str, list[NDArray[Any]]] = {}

    def layer(self, kind: Any, units: int, name: str, **options: Any) -> Any:
        """A layer with weights -1, 0, +1, or -1 and +1."""
        quantizer = qkeras.binary(alpha=1) if self.kind == "binary" else qkeras.ternary(alpha=1, threshold=0.5)
        options = {"use_bias": False, "kernel_initializer": "zeros", **options}
        return kind(units, kernel_quantizer=quantizer, name=name, **options)

    def activated(self, sums: Any, kind: Activation, layer: str, end: str, read: Signal) -> tuple[Any, Signal]:
        """``norm_END`` and ``act_END`` on the sums of ``layer``, and what they give."""
        trits = _unit_weights(self.model, layer)
        slope, offset = self.model.get_layer(f"norm_{end}").snapped()
        trits = trits * np.sign(slope)
        slope, given = np.abs(slope), Signal.of(kind)
        _check_exact(f"norm_{end}", trits, slope, offset, read, given.lsb)
        self.weights[layer] = [trits]
        self.weights[f"norm_{end}"] = [slope, offset, np.zeros_like(slope), np.ones_like(slope)]
        y = keras.layers.BatchNormalization(epsilon=0, name=f"norm_{end}")(sums)
        quantizer: Any
        if kind == "ternary":
            threshold = float(self.model.get_layer(f"act_{end}").threshold)
            quantizer = qkeras.ternary(alpha=1, threshold=off_lattice(threshold, float(slope.min()) * read.lsb))
        else:
            quantizer = qkeras.quantized_relu(int(kind), 0)
        return qkeras.QActivation(quantizer, name=f"act_{end}")(y), given


def logits(model: Model, x: Floats) -> Floats:
    """Logits (samples, outputs) of real inputs (samples, inputs) on the lattice; for training and canonical models."""
    x = x.reshape(-1, *model.input_shape[1:])
    parts = [model(x[start : start + _BATCH], training=False).numpy() for start in range(0, len(x), _BATCH)]
    return np.concatenate(parts)


def evaluate(canonical: Model, input_format: InputFormat, x: NDArray[Any], y: NDArray[np.int64]) -> tuple[float, int]:
    """Error rate and number of wrong answers on features ``x`` and labels ``y``; the first of equal logits decides."""
    wrong = int(np.sum(logits(canonical, input_format.quantized_real(x)).argmax(axis=1) != y))
    return wrong / len(y), wrong


def save(canonical: Model, input_format: InputFormat, folder: Path) -> None:
    """Write the model and its input format into ``folder``; equal models give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls HDF5 a legacy format; its own one stores the time of saving
        canonical.save(folder / MODEL_FILE, include_optimizer=False)
    (folder / FORMAT_FILE).write_text(json.dumps(input_format.to_json()) + "\n")


def load(folder: Path) -> tuple[Model, InputFormat]:
    """What :func:`save` wrote."""
    model = qkeras.utils.load_qmodel(str(folder / MODEL_FILE), compile=False)
    return model, InputFormat.from_json(json.loads((folder / FORMAT_FILE).read_text()))


def _unit_weights(model: Model, name: str) -> Floats:
    layer = model.get_layer(name)
    weights: Floats = layer.kernel_quantizer_internal(layer.kernel).numpy()
    assert np.isin(weights, (-1, 0, 1)).all(), f"{name}: weights are not -1, 0 or 1"
    return weights


def _bias(model: Model) -> Floats:
    layer = model.get_layer("logits")
    bias: Floats = layer.bias_quantizer_internal(layer.bias).numpy()
    return bias


def _bias_quantizer(bias: Floats, lsb: float) -> Any:
    """The narrowest type for the bias; one bit would mean -1/+1 to QKeras, and it cannot have all bits fractional."""
    codes = np.rint(bias / lsb).astype(np.int64)
    frac = round(-math.log2(lsb))
    bits = max(2, frac + 1, *(int(max(code, -code - 1)).bit_length() + 1 for code in codes))
    return qkeras.quantized_bits(bits, bits - 1 - frac, alpha=1)


def off_lattice(threshold: float, step: float) -> float:
    """A threshold strictly between two multiples of ``step`` that decides like ``|y| >= threshold`` for all of them.

    ``step`` is a power of two; coarser lattices are part of it. Three eighths of a step above a multiple can be neither
    0.5, which hls4ml converts differently, nor half a channel's scale: hls4ml would fold that into the dense layer
    before, as a scale of 1, and then apply its own threshold of 0.5 on the lattice.
    """
    below = max(math.ceil(threshold / step) - 1, 0)
    return (below + 0.375) * step


def _check_exact(name: str, trits: Floats, slope: Floats, offset: Floats, read: Signal, out_lsb: float) -> None:
    """Bound every intermediate of ``slope * (x @ trits) + offset`` in units of its own lattice."""
    terms = np.abs(trits).astype(np.float64).reshape(-1, trits.shape[-1]).sum(axis=0)
    reach = terms * max(abs(read.low), abs(read.high))
    finest = np.minimum(slope * read.lsb, out_lsb / 2)
    bound = max(float((reach / read.lsb).max()), float(((slope * reach + np.abs(offset) + 1) / finest).max()))
    if bound >= EXACT:
        raise ModelError(
            f"layer {name}: sums need {math.log2(bound):.1f} bits, but float32 is exact only to 24: "
            "use fewer inputs, units or bits"
        )
