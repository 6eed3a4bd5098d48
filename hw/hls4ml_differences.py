"""Constructs that hls4ml 1.3 converts without an error and computes otherwise than QKeras, with the reason.

Found by comparing its compiled C simulation (Vitis backend, precisions as in :mod:`hw.hls4ml_flow`) with QKeras.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.accepted import inbound

Floats = NDArray[np.float64]
_WEIGHTED = ("QDense", "QConv1D", "QConv2D", "QDepthwiseConv2D")
_HANDING_ON = ("Dropout", "Activation", "QActivation")
"""Layers that give what they read, but for their activation."""


@dataclass(frozen=True)
class _Values:
    """What a layer gives, as far as an activation right behind it is concerned.

    ``scale``: what each channel was multiplied with since its sums; ``norm``: the layer that did; ``untyped``: whether
    hls4ml chooses their type, and so may take a linear activation behind them for that choice.
    """

    scale: Floats = field(default_factory=lambda: np.ones(1))
    norm: str = ""
    untyped: bool = False


def known_differences(model: Any) -> list[str]:
    """Sentences that name each layer of a QKeras ``model`` that hls4ml is known to compute otherwise, and why."""
    found: list[str] = []
    given: dict[str, _Values] = {}
    sources = inbound(model)
    for layer in model.layers:
        kind, read = type(layer).__name__, sources[layer.name]
        values = given.get(read[0], _Values()) if len(read) == 1 else _Values()
        if kind in _WEIGHTED:
            values = _Values(_alpha(layer), untyped=True)
            if kind == "QDense" and len(layer.input_shape) > 2 and _unquantized(layer):
                found.append(f"layer {layer.name!r}: a QDense on images becomes a convolution with unquantized weights")
        elif kind == "BatchNormalization":
            values = _Values(values.scale * _scale(layer), layer.name, untyped=True)
        elif kind not in _HANDING_ON:
            values = _Values()
        activation = getattr(layer, "quantizer" if kind == "QActivation" else "activation", None)
        match getattr(activation, "__name__", type(activation).__name__):
            case "NoneType" | "linear":
                pass
            case "relu":
                values = _Values(untyped=True)
            case quantizer:
                if reason := _of_quantizer(quantizer, activation, values):
                    found.append(f"layer {layer.name!r}: {reason}")
                values = _Values()
        given[layer.name] = values
    return found


def _of_quantizer(name: str, quantizer: Any, values: _Values) -> str:
    """The first reason that holds for an activation right behind ``values``, or nothing."""
    scale, norm = values.scale, values.norm
    match name:
        case "quantized_bits" if values.untyped:
            return "quantized_bits right behind unquantized sums is taken out by hls4ml's merge_linear_activation pass"
        case "binary" if (scale != 1).any() and norm:
            return f"a binary activation after {norm!r} is converted inexactly"
        case "ternary" if (scale < 0).any():
            return f"a negative scale in {norm!r} turns the ternary comparison round"
        case "ternary" if (scale == 0).any():
            return f"a scale of 0 in {norm!r} leaves the ternary comparison without a threshold"
        case "ternary" if (scale == 2 * (quantizer.threshold or 0)).all():
            return f"a ternary threshold of exactly {quantizer.threshold:g}, half of all scales, is never applied"
    return ""


def _unquantized(dense: Any) -> bool:
    """Whether its kernel, before the quantizer, is not ternary already."""
    return not np.isin(np.asarray(dense.kernel), (-1, 0, 1)).all()


def _alpha(layer: Any) -> Floats:
    """What hls4ml takes out of a layer's kernel; it has no C simulation of scales that QKeras finds."""
    alpha = getattr(getattr(layer, "kernel_quantizer_internal", None), "alpha", None)  # depthwise ones keep theirs
    return np.ones(1) if alpha is None or isinstance(alpha, str) else np.array([alpha], np.float64)


def _scale(norm: Any) -> Floats:
    """What a batch normalization multiplies each channel with."""
    variance = np.asarray(norm.moving_variance, np.float64)
    gamma = np.ones_like(variance) if norm.gamma is None else np.asarray(norm.gamma, np.float64)
    scale: Floats = gamma / np.sqrt(variance + norm.epsilon)
    return scale
