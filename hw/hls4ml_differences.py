"""Constructs that hls4ml 1.3 converts without an error and computes otherwise than QKeras, with the reason.

Found by comparing its compiled C simulation (Vitis backend, precisions as in :mod:`hw.hls4ml_flow`) with QKeras.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def known_differences(model: Any) -> list[str]:
    """Sentences that name each layer of a QKeras ``model`` that hls4ml is known to compute otherwise, and why."""
    found: list[str] = []
    scale: Floats | None = None  # what each channel was multiplied with since the last dense layer
    norm = ""
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "QDense":
            scale, norm = _alpha(layer), ""
            if len(layer.input_shape) > 2 and not np.isin(np.asarray(layer.kernel), (-1, 0, 1)).all():
                found.append(f"layer {layer.name!r}: a QDense on images becomes a convolution with unquantized weights")
        elif "AveragePooling" in kind and (count := _averaged(layer)) & (count - 1):
            found.append(f"layer {layer.name!r}: the mean of {count} values is rounded before it is quantized")
        elif kind == "BatchNormalization" and scale is not None:
            scale, norm = scale * _scale(layer), layer.name
        quantizer = getattr(layer, {"QActivation": "quantizer", "QDense": "activation"}.get(kind, ""), None)
        if scale is not None and (reason := _of_activation(quantizer, scale, norm)):
            found.append(f"layer {layer.name!r}: {reason}")
    return found


def _of_activation(quantizer: Any, scale: Floats, norm: str) -> str:
    """The first reason that holds for an activation behind a dense layer, scales and ``norm`` (a name or nothing)."""
    match type(quantizer).__name__:
        case "quantized_bits":
            return "quantized_bits after a dense layer is taken out by hls4ml's merge_linear_activation pass"
        case "binary" if (scale != 1).any() and norm:
            return f"a binary activation after {norm!r} is converted inexactly"
        case "ternary" if (scale < 0).any():
            return f"a negative scale in {norm!r} turns the ternary comparison round"
        case "ternary" if (scale == 0).any():
            return f"a scale of 0 in {norm!r} leaves the ternary comparison without a threshold"
        case "ternary" if (scale == 2 * (quantizer.threshold or 0)).all():
            return f"a ternary threshold of exactly {quantizer.threshold:g}, half of all scales, is never applied"
    return ""


def _averaged(layer: Any) -> int:
    """Values of which an average pooling makes one."""
    return math.prod(layer.input_shape[1:-1] if type(layer).__name__.startswith("Global") else layer.pool_size)


def _alpha(dense: Any) -> Floats:
    """What a dense layer's kernel is multiplied with; hls4ml has no C simulation of scales that QKeras finds."""
    alpha = getattr(dense.kernel_quantizer_internal, "alpha", None)
    return np.ones(1) if alpha is None or isinstance(alpha, str) else np.array([alpha], np.float64)


def _scale(norm: Any) -> Floats:
    """What a batch normalization multiplies each channel with."""
    variance = np.asarray(norm.moving_variance, np.float64)
    gamma = np.ones_like(variance) if norm.gamma is None else np.asarray(norm.gamma, np.float64)
    scale: Floats = gamma / np.sqrt(variance + norm.epsilon)
    return scale
