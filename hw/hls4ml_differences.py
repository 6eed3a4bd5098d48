"""Constructs that hls4ml 1.3 converts without an error and computes otherwise than QKeras, with the reason.

Found by comparing its compiled C simulation (Vitis backend) with QKeras on random weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def known_differences(model: Any) -> list[str]:
    """Sentences that name each layer of a QKeras ``model`` that hls4ml is known to compute otherwise, and why."""
    found: list[str] = []
    norm, dense = None, False
    for layer in model.layers:
        kind, quantizer = type(layer).__name__, _quantizer(layer)
        if quantizer is not None:
            reason = _of_activation(quantizer, norm, after_dense=dense)
            if reason:
                found.append(f"layer {layer.name!r}: {reason}")
        norm = layer if kind == "BatchNormalization" else None
        dense = kind == "QDense"
    return found


def _quantizer(layer: Any) -> Any:
    """The quantizer of an activation layer."""
    return getattr(layer, "quantizer", None) if type(layer).__name__ == "QActivation" else None


def _of_activation(quantizer: Any, norm: Any, *, after_dense: bool) -> str:
    """The first reason that holds for an activation behind ``norm`` (a batch normalization, or None), or nothing."""
    kind = type(quantizer).__name__
    reasons = {
        "quantized_bits after a dense layer is taken out by hls4ml's merge_linear_activation pass": kind
        == "quantized_bits"
        and after_dense,
        "a quantized_relu without fractional bits is neither rounded nor saturated": kind == "quantized_relu"
        and quantizer.bits <= quantizer.integer,
        "a ternary threshold of exactly 0.5 is never applied": kind == "ternary" and quantizer.threshold == 0.5,
    }
    if norm is not None:
        scale = _scale(norm)
        reasons |= {
            f"a negative scale in {norm.name!r} turns the ternary comparison round": kind == "ternary"
            and bool((scale < 0).any()),
            f"scales in {norm.name!r} that are no powers of two are rounded": bool(
                (np.frexp(np.abs(scale))[0] != 0.5).any()
            ),
            f"a binary activation after {norm.name!r} is converted inexactly": kind == "binary",
        }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _scale(norm: Any) -> Any:
    """What a batch normalization multiplies each channel with."""
    variance = np.asarray(norm.moving_variance, np.float64)
    gamma = 1.0 if norm.gamma is None else np.asarray(norm.gamma, np.float64)
    return gamma / np.sqrt(variance + norm.epsilon)
