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

from .build import check_inputs, lattice
from .scaling import InputFormat
from .tf import keras, qkeras

Model = Any
Floats = NDArray[np.float32]

EXACT = 2.0**24
"""float32 computes exactly with integers below this magnitude."""
MODEL_FILE, FORMAT_FILE = "model.h5", "input_format.json"
_BATCH = 8192


def canonicalize(model: Model, architecture: Architecture, input_format: InputFormat) -> Model:
    """The canonical model of a trained (or just built) one; its logits are those of the model's inference.

    Layers: ``x, input_quant``, per hidden layer ``dense_i`` (weights -1, 0, +1), ``norm_i`` (batch normalization with
    mean 0, variance 1, gamma a positive power of two, beta on the accumulator's lattice), ``act_i``; then ``logits``.
    Raises ModelError where a float32 sum could need more than 24 bits, since it would not be exact then.
    """
    check_inputs(architecture, input_format)
    x = inputs = keras.layers.Input((architecture.inputs,), name="x")
    signed = int(input_format.signed)
    x = qkeras.QActivation(
        qkeras.quantized_bits(
            input_format.bits, input_format.bits - signed - input_format.frac, keep_negative=signed, alpha=1
        ),
        name="input_quant",
    )(x)
    weights: dict[str, list[NDArray[Any]]] = {}
    lsb = 2.0**-input_format.frac
    low, high = (float(v) for v in (input_format.low * lsb, input_format.high * lsb))
    for i, layer in enumerate(architecture.hidden):
        trits = _unit_weights(model, f"dense_{i}")
        slope, offset = model.get_layer(f"norm_{i}").snapped()
        trits = trits * np.sign(slope)
        slope = np.abs(slope)
        _check_exact(f"norm_{i}", trits, slope, offset, lsb, (low, high), lattice(layer.activation))
        weights[f"dense_{i}"] = [trits]
        weights[f"norm_{i}"] = [slope, offset, np.zeros_like(slope), np.ones_like(slope)]
        x = _dense(layer.units, architecture.weights, f"dense_{i}", use_bias=False)(x)
        x = keras.layers.BatchNormalization(epsilon=0, name=f"norm_{i}")(x)
        x = qkeras.QActivation(_activation(model, i, layer.activation, float(slope.min()) * lsb), name=f"act_{i}")(x)
        lsb = lattice(layer.activation)
        low, high = (-1.0, 1.0) if layer.activation == "ternary" else (0.0, 1 - lsb)
    trits, bias = _unit_weights(model, "logits"), _bias(model)
    _check_exact("logits", trits, np.ones_like(bias), bias, lsb, (low, high), lsb)
    weights["logits"] = [trits, bias]
    quantizer = _bias_quantizer(bias, lsb)
    x = _dense(architecture.outputs, architecture.weights, "logits", use_bias=True, bias_quantizer=quantizer)(x)
    canonical = keras.Model(inputs, x, name="canonical")
    for name, values in weights.items():
        canonical.get_layer(name).set_weights(values)
    return canonical


def logits(model: Model, x: Floats) -> Floats:
    """Logits (samples, outputs) of real inputs that lie on the lattice; for training and canonical models."""
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


def _dense(units: int, weights: Weights, name: str, **kwargs: Any) -> Any:
    return qkeras.QDense(
        units,
        kernel_quantizer=qkeras.binary(alpha=1) if weights == "binary" else qkeras.ternary(alpha=1, threshold=0.5),
        kernel_initializer="zeros",
        name=name,
        **kwargs,
    )


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


def _activation(model: Model, i: int, kind: Activation, finest: float) -> Any:
    if kind != "ternary":
        return qkeras.quantized_relu(int(kind), 0)
    return qkeras.ternary(alpha=1, threshold=off_lattice(float(model.get_layer(f"act_{i}").threshold), finest))


def off_lattice(threshold: float, step: float) -> float:
    """A threshold strictly between two multiples of ``step`` that decides like ``|y| >= threshold`` for all of them.

    ``step`` is a power of two; coarser lattices are part of it. Three eighths of a step above a multiple can be neither
    0.5, which hls4ml converts differently, nor half a channel's scale: hls4ml would fold that into the dense layer
    before, as a scale of 1, and then apply its own threshold of 0.5 on the lattice.
    """
    below = max(math.ceil(threshold / step) - 1, 0)
    return (below + 0.375) * step


def _check_exact(
    name: str, trits: Floats, slope: Floats, offset: Floats, lsb: float, span: tuple[float, float], out_lsb: float
) -> None:
    """Bound every intermediate of ``slope * (x @ trits) + offset`` in units of its own lattice."""
    reach = np.abs(trits).astype(np.float64).sum(axis=0) * max(abs(span[0]), abs(span[1]))
    finest = np.minimum(slope * lsb, out_lsb / 2)
    bound = max(float((reach / lsb).max()), float(((slope * reach + np.abs(offset) + 1) / finest).max()))
    if bound >= EXACT:
        raise ModelError(
            f"layer {name}: sums need {math.log2(bound):.1f} bits, but float32 is exact only to 24: "
            "use fewer inputs, units or bits"
        )
