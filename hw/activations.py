"""Activations of hls4ml's ModelGraph as nodes of a Graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from codesign.errors import ModelError
from hw.accepted import SUPPORTED
from hw.chain import Chain, Mean
from hw.graph import INNER, FixedType, Op

_MOST_STEPS = 255
_MOST_BITS = 31


def activation_type(quantizer: Mapping[str, Any]) -> FixedType:
    """Output type of a serialized QKeras activation quantizer; ModelError when it has no exact one."""
    kind, config = quantizer["class_name"], quantizer["config"]
    for what in ("bits", "integer") if kind == "quantized_relu" else ("integer",):
        if int(config.get(what, 0)) > _MOST_BITS:
            name = "quantized_bits" if kind == "linear" else kind  # hls4ml's name
            raise ModelError(
                f"{name} with {what}={config[what]} gives NaN in QKeras, which computes 2**{what} as an int32; use "
                f"{_MOST_BITS} or less"
            )
    match kind:
        case "ternary" | "ternary_tanh" | "binary" | "binary_tanh":
            return FixedType(signed=True, bits=2, frac=0)
        case "quantized_relu":
            return _relu_type(config)
        case "quantized_bits" | "linear":
            return _bits_type(config)
    raise ModelError(
        f"activation quantizer {kind!r} is not supported; use ternary, binary, quantized_relu or quantized_bits"
    )


def _relu_type(config: Mapping[str, Any]) -> FixedType:
    bits, integer = int(config["bits"]), int(config["integer"])
    if config.get("negative_slope") or config.get("use_sigmoid"):
        raise ModelError("quantized_relu with negative_slope or use_sigmoid is not supported; use it without")
    if config.get("relu_upper_bound") is not None:
        raise ModelError("quantized_relu with relu_upper_bound is not supported; its bits already bound it")
    return FixedType(signed=False, bits=bits, frac=bits - integer)


def _bits_type(config: Mapping[str, Any]) -> FixedType:
    bits, integer, signed = int(config["bits"]), int(config["integer"]), bool(config["keep_negative"])
    if config.get("alpha") not in (None, 1, 1.0):
        raise ModelError(
            f"quantized_bits with alpha={config['alpha']!r} as an activation is not supported; use alpha=1"
        )
    return FixedType(signed=signed, bits=bits, frac=bits - integer - int(signed))


def add_activation(layer: Any, chain: Chain) -> None:
    """Append what hls4ml's ``layer`` computes; ModelError where that has no exact node."""
    quantizer, precision = layer.get_attr("activation_quantizer"), layer.get_attr("quantizer")
    if quantizer is not None:
        _add_qkeras(layer, quantizer, chain)
    elif precision is not None:
        _add_onnx(layer.name, precision.hls_type, chain)
    elif str(layer.get_attr("activation")).lower() == "relu":  # ONNX models say ReLU
        # the whole of a format that nothing exceeds: such a bound costs no hardware
        kind = FixedType.holding(0, int(np.maximum(chain.bounds[1].max(), 0)), chain.last.type.frac)
        tensors = {"shift": np.array(0), "low": np.array(0), "high": np.array(kind.high)}
        chain.add(layer.name, Op.QUANTIZE, kind, tensors)
    elif layer.get_attr("activation") != "linear":
        raise ModelError(
            f"layer {layer.name!r} ({layer.get_attr('activation')}) is not supported; supported: {SUPPORTED}"
        )


def _add_onnx(name: str, precision: Any, chain: Chain) -> None:
    """The quantizer of a QONNX model, which hls4ml gives as a fixed-point type, or as that of -1 and +1."""
    if type(precision).__name__ == "XnorPrecisionType":
        chain.add(name, Op.BINARY, _unit_type(name, None), {})
        return
    modes = f"{precision.rounding_mode} {precision.saturation_mode}"
    if modes not in ("RND_CONV SAT", "RND_CONV SAT_SYM"):
        raise ModelError(f"layer {name!r} quantizes with {modes}; only rounding to even and saturation are supported")
    kind = FixedType(bool(precision.signed), int(precision.width), int(precision.width - precision.integer))
    narrow = modes.endswith("SYM")
    if chain.last.op is Op.INPUT:  # what quantizes the input is done by whoever brings it
        if narrow:
            raise ModelError(
                f"layer {name!r} quantizes the input with narrow=1, which leaves out a value; use narrow=0"
            )
        chain.retype_input(kind)
    add_quantizer(name, kind, chain, narrow=narrow)


def _add_qkeras(layer: Any, quantizer: Mapping[str, Any], chain: Chain) -> None:
    kind, config = activation_type(quantizer), quantizer["config"]
    for option, plain in (("use_stochastic_rounding", (False,)), ("qnoise_factor", (1,)), ("use_01", (False,))):
        if config.get(option, plain[0]) not in plain:
            raise ModelError(f"layer {layer.name!r} has {option}={config[option]}; only {option}={plain[0]} is exact")
    name = quantizer["class_name"]
    if name.startswith("ternary"):
        tie = chain.formats is not None
        threshold = _ternary_threshold(layer.name, config["threshold"], chain.last.type, chain.mean, tie=tie)
        kind = _unit_type(layer.name, config["alpha"])
        chain.add(layer.name, Op.TERNARY, kind, {"threshold": np.array(threshold)})
    elif name.startswith("binary"):
        chain.add(layer.name, Op.BINARY, _unit_type(layer.name, config.get("alpha")), {})
    elif config.get("keep_negative") and config["bits"] == 1:  # quantized_bits of one signed bit is a sign to QKeras
        chain.add(layer.name, Op.BINARY, _unit_type(layer.name, None), {})
    else:
        add_quantizer(layer.name, kind, chain, narrow=bool(config.get("symmetric")))


def _unit_type(name: str, alpha: Any) -> FixedType:
    """Type of -alpha, 0 and alpha."""
    mantissa, exponent = math.frexp(1.0 if alpha is None else float(alpha)) if not isinstance(alpha, str) else (0.0, 0)
    if mantissa != 0.5:
        raise ModelError(f"layer {name!r} has alpha={alpha!r} as an activation; use alpha=1 or another power of two")
    return FixedType(signed=True, bits=2, frac=1 - exponent)


def add_quantizer(name: str, kind: FixedType, chain: Chain, *, narrow: bool) -> None:
    """Append rounding to even and saturation. ``narrow``: without the lowest value of a signed type."""
    low, mean = kind.low + int(narrow and kind.signed), chain.mean
    shift = chain.last.type.frac - kind.frac
    if shift < 0:  # the activation's step is finer than what it reads: widen first, exactly
        channels = chain.last.dims[-1]
        tensors = {"shift": np.full(channels, -shift), "bias": np.zeros(channels, np.int64)}
        chain.add(f"{name}{INNER}widened", Op.AFFINE, kind.frac, tensors)
        shift = 0
    ends = {"low": np.array(low), "high": np.array(kind.high)}
    if mean is None:
        chain.add(name, Op.QUANTIZE, kind, {"shift": np.array(shift), **ends})
        return
    chain.add(name, Op.DIVIDE, kind, {"divisor": np.array(mean.count << shift), **ends})
    steps = int((chain.bounds[1] - chain.bounds[0]).max())
    if steps > _MOST_STEPS:
        raise ModelError(
            f"layer {name!r} quantizes the mean of {mean.count} values to {steps + 1} values, of which each would be a "
            f"comparison; quantize it to {_MOST_STEPS.bit_length()} bits or fewer, or average 2, 4, 8, 16, ... values"
        )


def _ternary_threshold(name: str, threshold: float | None, kind: FixedType, mean: Mean | None, *, tie: bool) -> int:
    """Smallest lattice integer at or above ``threshold``; a ``tie`` may be refused: QKeras and hls4ml differ there.

    Of a ``mean`` the smallest sum whose mean, a float32, is there.
    """
    given = 0.33 if threshold is None else float(threshold)  # QKeras' own default
    compared = float(np.float32(given))  # as QKeras does
    scaled = math.ldexp(compared, kind.frac)
    if scaled <= 0:
        raise ModelError(f"layer {name!r} has threshold {given!r}; a ternary activation needs one above 0")
    if mean is not None:
        least = math.ceil(scaled * mean.count) - 1  # whose mean may be below by less than float32 can tell
        reached = np.float32(least) / np.float32(mean.count) >= np.float32(scaled)
        return least if reached and least > 0 else least + 1
    if scaled == int(scaled) and not tie:
        # 3/8 of a step above it can neither be 0.5 nor half the scale of a channel, which hls4ml converts inexactly
        between = compared + math.ldexp(0.375, -kind.frac)
        advice = f"move it between two steps of 2**{-kind.frac}, e.g. to {between!r}"
        if float(np.float32(between)) != between:
            advice = (
                f"float32 has none between two steps of 2**{-kind.frac} there: give its input fewer fractional bits"
            )
        raise ModelError(
            f"layer {name!r} has threshold {given!r}, a value its input can take: QKeras tests >=, hls4ml >; {advice}"
        )
    return math.ceil(scaled)
