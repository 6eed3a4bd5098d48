"""hls4ml ModelGraph -> Graph, and the layer-by-layer self-check against QKeras."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import MismatchError, ModelError
from hw.graph import FixedType, Graph, Ints, Node, Op
from hw.hls4ml_flow import activation_type

SUPPORTED = (
    "Dense (ternary or binary kernel, alpha 1), BatchNormalization with positive power-of-two scale, "
    "quantized_relu, quantized_bits, ternary and binary activations, linear"
)
_FLOAT32_BITS = 24
WIDENED = "_widen"
"""Ends the names of nodes that stand for no layer of the model."""


def lower(model_graph: Any) -> Graph:
    """The integer network hls4ml understood; ModelError names the layer that cannot be exact."""
    nodes: list[Node] = []
    for layer in model_graph.get_layers():
        if nodes and layer.inputs != [nodes[-1].name]:
            raise ModelError(f"layer {layer.name!r} reads {layer.inputs}: only chains of layers are supported")
        nodes.extend(_lower_layer(layer, nodes[-1] if nodes else None))
    return Graph(tuple(nodes))


def _lower_layer(layer: Any, source: Node | None) -> list[Node]:
    kind = layer.class_name
    if kind == "Input":
        return [_input(layer)]
    assert source is not None
    match kind:
        case "Dense":
            return [_dense(layer, source)]
        case "BatchNormalization" | "ApplyAlpha":
            return [_affine(layer, source)]
        case "Activation" | "TernaryTanh" | "BinaryTanh":
            return _activation(layer, source)
    raise ModelError(f"layer {layer.name!r} ({kind}) is not supported; supported: {SUPPORTED}")


def _input(layer: Any) -> Node:
    precision = layer.get_output_variable().type.precision
    shape = layer.get_output_variable().shape
    if len(shape) != 1:
        raise ModelError(f"input {layer.name!r} has shape {tuple(shape)}; only vectors are supported: flatten it first")
    kind = FixedType(bool(precision.signed), int(precision.width), int(precision.width - precision.integer))
    return Node(layer.name, Op.INPUT, None, int(shape[0]), kind)


def _dense(layer: Any, source: Node) -> Node:
    weights = np.asarray(layer.weights["weight"].data, np.float64)
    if type(layer.weights["weight"].type.precision).__name__ == "XnorPrecisionType":
        weights = 2 * weights - 1  # hls4ml holds binary kernels as 0 for -1, 1 for +1
    if not np.isin(weights, (-1.0, 0.0, 1.0)).all():
        value = weights[~np.isin(weights, (-1.0, 0.0, 1.0))].flat[0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) has weight {value:g}, which is not -1, 0 or +1; "
            "quantize its kernel with ternary(alpha=1) or binary(alpha=1)"
        )
    bias = np.asarray(layer.weights["bias"].data, np.float64)
    frac = max(source.type.frac, _frac_bits(layer.name, "bias", bias))
    if frac != source.type.frac:
        raise ModelError(
            f"layer {layer.name!r} has a bias finer than its accumulator's step of 2**{-source.type.frac}; "
            "quantize the bias to that step"
        )
    trits = weights.astype(np.int64)
    offsets = np.ldexp(bias, frac).astype(np.int64)
    low, high = reach(trits, source)
    kind = _type_for(low + offsets, high + offsets, frac)
    return Node(layer.name, Op.DENSE, source.name, trits.shape[1], kind, {"trits": trits, "bias": offsets})


def reach(trits: Ints, source: Node) -> tuple[Ints, Ints]:
    """Smallest and largest sum of every column of ``trits`` (inputs, units) over the source's range."""
    low, high = source.type.low, source.type.high
    if source.op in (Op.TERNARY, Op.BINARY):
        low, high = -1, 1
    positive, negative = (trits > 0).sum(axis=0), (trits < 0).sum(axis=0)
    return positive * low - negative * high, positive * high - negative * low


def _affine(layer: Any, source: Node) -> Node:
    scale = np.asarray(layer.weights["scale"].data, np.float64).reshape(-1)
    bias = np.asarray(layer.weights["bias"].data, np.float64).reshape(-1)
    mantissa, exponent = np.frexp(scale)
    if not (mantissa == 0.5).all():
        value = scale[mantissa != 0.5][0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) scales a channel by {value:g}, which is not a positive power "
            "of two; export the model in canonical form"
        )
    power = exponent.astype(np.int64) - 1
    frac = int(max(source.type.frac - power.min(), _frac_bits(layer.name, "offset", bias)))
    shift = frac - source.type.frac + power
    offsets = np.ldexp(bias, frac).astype(np.int64)
    low, high = source.type.low << shift, source.type.high << shift
    kind = _type_for(low + offsets, high + offsets, frac)
    return Node(layer.name, Op.AFFINE, source.name, source.size, kind, {"shift": shift, "bias": offsets})


def _activation(layer: Any, source: Node) -> list[Node]:
    quantizer = layer.get_attr("activation_quantizer")
    if quantizer is None:
        if layer.get_attr("activation") == "linear":
            return []
        raise ModelError(
            f"layer {layer.name!r} ({layer.get_attr('activation')}) is not supported; supported: {SUPPORTED}"
        )
    kind = activation_type(quantizer)
    name = quantizer["class_name"]
    if name.startswith("binary"):
        return [Node(layer.name, Op.BINARY, source.name, source.size, kind)]
    if name.startswith("ternary"):
        threshold = _ternary_threshold(layer.name, float(quantizer["config"]["threshold"]), source.type)
        tensors = {"threshold": np.array(threshold)}
        return [Node(layer.name, Op.TERNARY, source.name, source.size, kind, tensors)]
    return _quantize(layer.name, quantizer, kind, source)


def _quantize(name: str, quantizer: Any, kind: FixedType, source: Node) -> list[Node]:
    shift = source.type.frac - kind.frac
    nodes = []
    if shift < 0:  # the activation's step is finer than what it reads: widen first, exactly
        wide = FixedType(source.type.signed, source.type.bits - shift, kind.frac)
        tensors = {"shift": np.full(source.size, -shift), "bias": np.zeros(source.size, np.int64)}
        source = Node(f"{name}{WIDENED}", Op.AFFINE, source.name, source.size, wide, tensors)
        nodes.append(source)
        shift = 0
    low = kind.low + int(bool(quantizer["config"].get("symmetric")) and kind.signed)
    tensors = {"shift": np.array(shift), "low": np.array(low), "high": np.array(kind.high)}
    return [*nodes, Node(name, Op.QUANTIZE, source.name, source.size, kind, tensors)]


def _ternary_threshold(name: str, threshold: float, kind: FixedType) -> int:
    """Smallest lattice integer at or above ``threshold``; a tie is refused: QKeras and hls4ml differ there."""
    scaled = math.ldexp(threshold, kind.frac)
    if scaled == int(scaled):
        raise ModelError(
            f"layer {name!r} has threshold {threshold:g}, a value its input can take: QKeras tests >=, hls4ml >; "
            f"move it between two steps of 2**{-kind.frac}, e.g. to {threshold + math.ldexp(0.5, -kind.frac):g}"
        )
    return math.ceil(scaled)


def _frac_bits(name: str, what: str, values: NDArray[np.float64]) -> int:
    """Fewest fractional bits that hold ``values`` exactly."""
    for frac in range(49):
        scaled = np.ldexp(values, frac)
        if np.array_equal(scaled, np.rint(scaled)):
            return frac
    raise ModelError(f"layer {name!r} has an {what} that is not a multiple of 2**-48; export it in canonical form")


def _type_for(low: Ints, high: Ints, frac: int) -> FixedType:
    smallest, largest = int(low.min()), int(high.max())
    if smallest >= 0:
        return FixedType(signed=False, bits=max(1, largest.bit_length()), frac=frac)
    bits = max((-smallest - 1).bit_length(), largest.bit_length() if largest > 0 else 0) + 1
    return FixedType(signed=True, bits=bits, frac=frac)


def self_check(model: Any, graph: Graph, x: Ints) -> None:
    """Hold QKeras against Graph layer by layer on input integers ``x`` (n, features).

    Raises MismatchError naming the first layer that differs with both values, ModelError where
    float32 could not hold a sum exactly (so that QKeras would be no reference).
    """
    names = {node.name for node in graph}
    layers = [layer for layer in model.layers if layer.name in names]
    unseen = names - {layer.name for layer in layers} - {name for name in names if name.endswith(WIDENED)}
    if unseen:
        raise MismatchError(f"no layer of the model is called {sorted(unseen)[0]!r}: nothing to compare with")
    for node in graph:
        if node.type.bits > _FLOAT32_BITS:
            raise ModelError(f"layer {node.name!r} needs {node.type.bits} bits; float32 QKeras is exact up to 24")
    reals = graph.input.type.to_real(x).astype(np.float32)
    outputs = type(model)(model.inputs, [layer.output for layer in layers])(reals, training=False)
    trace = graph.trace(x)
    kinds = {node.name: node.type for node in graph}
    for layer, output in zip(layers, outputs if isinstance(outputs, list) else [outputs], strict=True):
        expected = kinds[layer.name].to_real(trace[layer.name])
        found = np.asarray(output, np.float64)
        if not np.array_equal(expected, found):
            sample, unit = np.argwhere(expected != found)[0]
            raise MismatchError(
                f"layer {layer.name!r} differs first: sample {sample}, unit {unit}: "
                f"QKeras {found[sample, unit]!r}, graph {expected[sample, unit]!r}"
            )
