"""hls4ml ModelGraph -> Graph, and the layer-by-layer self-check against QKeras."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import MismatchError, ModelError
from hw.accepted import inbound
from hw.activations import add_activation
from hw.chain import Chain
from hw.formats import Clipped, Formats
from hw.graph import INNER, FixedType, Graph, Ints, Node, Op
from hw.images import add_structure, image, linear_of
from hw.rounding import add_result, add_rounded, add_rounded_scale

Floats = NDArray[np.float64]

_FLOAT32_BITS = 24
_FINEST = 48
_WIDEST = 60  # int64 with room for a sum of two


def lower(model_graph: Any, formats: Formats | None = None, clipped: dict[str, Clipped] | None = None) -> Graph:
    """The integer network hls4ml understood; ModelError names the layer that cannot be exact.

    With ``formats`` it is rounded to those that were chosen, and its weights then may be any integers; ``clipped`` then
    gets, by layer, those that their format does not reach.
    """
    layers = list(model_graph.get_layers())
    read = [name for layer in layers if layer.class_name != "Input" for name in layer.inputs]
    chain = Chain(read, formats)
    for layer in layers:
        if layer.class_name == "Input":
            _input(layer, chain)
        else:
            _lower_layer(layer, chain, chain.begin(layer.inputs))
        (given,) = layer.outputs
        chain.end(given)
    if clipped is not None:
        clipped.update(chain.clipped)
    return chain.graph


def _lower_layer(layer: Any, chain: Chain, sources: list[Node]) -> None:
    match layer.class_name:
        case "Dense":
            _weighted(layer, chain)
        case "Conv1D" | "Conv2D" | "DepthwiseConv1D" | "DepthwiseConv2D":
            _weighted(layer, chain)
        case "BatchNormalization" | "ApplyAlpha":
            _affine(layer, chain)
        case "Activation" | "TernaryTanh" | "BinaryTanh":
            add_activation(layer, chain)
        case _:
            add_structure(layer, chain, sources)


def _input(layer: Any, chain: Chain) -> None:
    precision = layer.get_output_variable().type.precision
    dims = tuple(int(extent) for extent in layer.get_output_variable().shape)
    kind = FixedType(bool(precision.signed), int(precision.width), int(precision.width - precision.integer))
    chain.input(Node(layer.name, Op.INPUT, None, image(dims), kind))


def _weighted(layer: Any, chain: Chain) -> None:
    """A dense layer or a convolution: ternary sums, and a bias that may be on a finer lattice."""
    weights, scaled = _weights(layer), _alpha(layer)
    rounded = add_rounded(layer, chain, weights, inner=scaled)
    if not rounded:
        _exact(layer, chain, weights)
    if not scaled:
        add_result(layer.name, chain, exact=not rounded)


def _exact(layer: Any, chain: Chain, weights: Floats) -> None:
    bias = np.asarray(layer.weights["bias"].data, np.float64).reshape(-1)
    weights, scale = _without_scale(layer, weights)
    op, trits, shape, dims = linear_of(layer, _trits(layer, weights), chain.last.dims)
    if (scale != 1).any():
        tensors = {"trits": trits, "bias": np.zeros(len(bias), np.int64), **shape}
        chain.add(f"{layer.name}{INNER}sum", op, chain.last.type.frac, tensors, dims=dims)
        _exact_scale(layer, chain, scale, bias, layer.name)
        return
    frac = chain.last.type.frac
    finer = _frac_bits(layer.name, "bias", bias, frac) - frac
    # where alpha is taken out of the kernel, the layer's output is the ApplyAlpha (or what that was fused into)
    name = f"{layer.name}{INNER}sum" if finer or _alpha(layer) else layer.name
    offsets = np.zeros(len(bias), np.int64) if finer else _integers(layer.name, bias, frac)
    chain.add(name, op, frac, {"trits": trits, "bias": offsets, **shape}, dims=dims)
    if finer:
        name = f"{layer.name}{INNER}bias" if _alpha(layer) else layer.name
        tensors = {"shift": np.full(len(bias), finer), "bias": _integers(layer.name, bias, frac + finer)}
        chain.add(name, Op.AFFINE, frac + finer, tensors)


def _weights(layer: Any) -> Floats:
    weights = np.asarray(layer.weights["weight"].data, np.float64)
    _require_finite(layer.name, "weight", weights)
    binary = type(layer.weights["weight"].type.precision).__name__ == "XnorPrecisionType"
    return 2 * weights - 1 if binary else weights  # hls4ml holds binary kernels as 0 for -1, 1 for +1


def _trits(layer: Any, weights: Floats) -> Ints:
    if not np.isin(weights, (-1.0, 0.0, 1.0)).all():
        value = weights[~np.isin(weights, (-1.0, 0.0, 1.0))].flat[0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) has weight {value:g}, which is not -1, 0 or +1; "
            "quantize its kernel with ternary(alpha=1) or binary(alpha=1), or for C alone round it with build --format"
        )
    return weights.astype(np.int64)


def _without_scale(layer: Any, weights: Floats) -> tuple[Floats, Floats]:
    """The weights of a depthwise layer over the power of two of each output, which hls4ml leaves in them."""
    if not _is_depthwise(layer):
        return weights, np.ones(1)
    kind, alpha = _quantizer_of(layer.weights["weight"])
    if kind == "binary" and alpha not in (None, 1):
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) has a binary kernel with alpha={alpha!r}, which hls4ml loses; "
            "use alpha=1, or ternary"
        )
    largest = np.abs(weights).reshape(-1, *weights.shape[-2:]).max(axis=0)
    dyadic = np.frexp(largest)[0] == 0.5
    if kind == "ternary" and not (dyadic | (largest == 0)).all():
        value = largest[~dyadic & (largest != 0)][0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) has a kernel with alpha={alpha!r}, which scales a channel by "
            f"{value:.9g}, no power of two; give it alpha='auto_po2' or a power of two, and train on"
        )
    scale = np.where(dyadic, largest, 1.0)
    return weights / scale, scale.reshape(-1)


def _is_depthwise(layer: Any) -> bool:
    return str(layer.class_name).startswith("Depthwise")


def _alpha(layer: Any) -> bool:
    """Whether hls4ml took a scale out of the kernel or bias of this layer, as it does of all but depthwise ones."""
    if _is_depthwise(layer):
        return False
    for weight in (layer.weights["weight"], layer.weights["bias"]):
        _, alpha = _quantizer_of(weight)
        if isinstance(alpha, str) or alpha not in (None, 1):
            return True
    return False


def _quantizer_of(weight: Any) -> tuple[str, Any]:
    """Name and alpha of QKeras' quantizer of a weight, where it has one."""
    found = getattr(getattr(weight, "quantizer", None), "qkeras_config", {"class_name": "", "config": {}})
    return found["class_name"], found["config"].get("alpha")


def _affine(layer: Any, chain: Chain) -> None:
    scale = np.asarray(layer.weights["scale"].data, np.float64).reshape(-1)
    offset = np.asarray(layer.weights["bias"].data, np.float64).reshape(-1)
    dense = layer.name.removesuffix("_alpha")  # whose scale hls4ml took out under that name
    name = dense if f"{dense}{INNER}sum" in chain else layer.name
    rounded = add_rounded_scale(layer, chain, scale, offset, name)
    if not rounded:
        _exact_scale(layer, chain, scale, offset, name)
    add_result(dense, chain, exact=not rounded)


def _exact_scale(layer: Any, chain: Chain, scale: Floats, offset: Floats, name: str) -> None:
    low, high = _of_channels(chain)
    _absorb_signs(layer, np.where(low == high, 1.0, scale), chain)
    low, high = _of_channels(chain)
    fixed = low == high  # such a channel is what it is, whatever it is scaled by
    offset = np.where(fixed, offset + scale * chain.last.type.to_real(low), offset)
    mantissa, exponent = np.frexp(np.abs(scale))
    if not (mantissa[~fixed] == 0.5).all():
        channel = np.flatnonzero(~fixed & (mantissa != 0.5))[0]
        advice = "snap its scales to powers of two and train on"
        if layer.class_name == "ApplyAlpha":
            advice = "give its kernel alpha='auto_po2' or a power of two, and train on"
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) scales channel {channel} by {scale[channel]:.9g}, which is no "
            f"power of two (or the negative of one); {advice}"
        )
    source, power = chain.last.type.frac, exponent.astype(np.int64) - 1
    finest = source - int(power[~fixed].min()) if not fixed.all() else source
    frac = _frac_bits(layer.name, "offset", offset, finest)
    shift = np.where(fixed, 0, frac - source + power)
    bias = _integers(layer.name, offset, frac) - np.where(fixed, low, 0)
    if chain.last.type.bits + int(shift.max()) > _WIDEST:
        raise ModelError(
            f"layer {layer.name!r} scales its channels too differently: 2**{power.min()} to 2**{power.max()}"
        )
    chain.add(name, Op.AFFINE, frac, {"shift": shift, "bias": bias})


def _of_channels(chain: Chain) -> tuple[Ints, Ints]:
    """Smallest and largest value of each channel of the last node."""
    low, high = (end.reshape(-1, end.shape[-1]) for end in chain.bounds)
    return low.min(axis=0), high.max(axis=0)


def _absorb_signs(layer: Any, scale: Floats, chain: Chain) -> None:
    """Move signs and zeros of ``scale`` into the dense layer before it: the scales of a Graph are positive."""
    if (scale > 0).all():
        return
    taken = []
    while chain.last.op is Op.AFFINE:
        taken.append(chain.take())
    if not chain.dense_last:
        channel = np.flatnonzero(scale <= 0)[0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) scales channel {channel} by {scale[channel]:g} after "
            f"{chain.last.name!r}, which has no weights; put it behind a layer that has"
        )
    taken.append(chain.take())
    sign = np.sign(scale).astype(np.int64)
    for node in reversed(taken):
        tensors = {key: tensor * _signs(sign, key, tensor) for key, tensor in node.tensors.items()}
        name = node.name if node.inner else f"{node.name}{INNER}signed"
        chain.add(name, node.op, node.type.frac, tensors, dims=node.dims)


def _signs(sign: Ints, key: str, tensor: Ints) -> Ints:
    """What a tensor of a node with ``sign`` per output is multiplied with."""
    if key not in ("trits", "bias"):
        return np.ones(1, np.int64)
    depthwise = tensor.ndim == 4 and tensor.shape[-1] != len(sign)
    return sign.reshape(tensor.shape[2:]) if depthwise else sign


def _require_finite(name: str, what: str, values: Floats) -> None:
    wrong = values[~np.isfinite(values)]
    if len(wrong):
        raise ModelError(f"layer {name!r} has the {what} {wrong[0]}: its training diverged, or the file is damaged")


def _frac_bits(name: str, what: str, values: Floats, least: int) -> int:
    """Fewest fractional bits, but no fewer than ``least``, that hold ``values`` exactly."""
    _require_finite(name, what, values)
    for frac in range(least, max(least, _FINEST) + 1):
        scaled = np.ldexp(values, frac)
        if np.array_equal(scaled, np.rint(scaled)):
            return frac
    value = values[np.ldexp(values, _FINEST) != np.rint(np.ldexp(values, _FINEST))][0]
    raise ModelError(f"layer {name!r} has the {what} {value:.9g}, which is no multiple of 2**-{_FINEST}; round it")


def _integers(name: str, values: Floats, frac: int) -> Ints:
    scaled = np.ldexp(values, frac)
    if np.abs(scaled).max(initial=0) >= 2.0**_WIDEST:
        raise ModelError(f"layer {name!r} adds {values[np.abs(scaled).argmax()]:.9g} in steps of 2**{-frac}: too wide")
    return scaled.astype(np.int64)


def self_check(model: Any, graph: Graph, x: Ints) -> None:
    """Hold QKeras against Graph layer by layer on input integers ``x`` (n, features).

    Raises MismatchError naming the first layer that differs with both values, ModelError where
    float32 could not hold a sum exactly (so that QKeras would be no reference).
    """
    _require_float32(graph)
    # layers without a node of their own are not compared; the last one is, whatever the graph's last node is called
    owned = owned_nodes({layer.name for layer in model.layers}, graph) | {model.layers[-1].name: graph.output}
    real = graph.input.type.to_real(x).astype(np.float32)
    trace = graph.trace(x)
    sources = inbound(model)
    values = {graph.input.name: real.reshape(-1, *model.inputs[0].shape[1:])}
    for layer in model.layers:
        if layer.name == graph.input.name:
            continue
        given = [values[name] for name in sources[layer.name] or [graph.input.name]]
        values[layer.name] = layer(given if len(given) > 1 else given[0])
        node = owned.get(layer.name)
        if node is not None:
            found = np.asarray(values[layer.name], np.float64).reshape(len(x), -1)
            _compare(layer.name, node.type.to_real(trace[node.name]).reshape(len(x), -1), found)


def _compare(layer: str, expected: Floats, found: Floats) -> None:
    if expected.shape != found.shape:
        raise MismatchError(f"layer {layer!r} gives values of shape {found.shape}, the graph {expected.shape}")
    if not np.array_equal(expected, found):
        sample, unit = np.argwhere(expected != found)[0]
        raise MismatchError(
            f"layer {layer!r} differs first: sample {sample}, unit {unit}: "
            f"QKeras {found[sample, unit]!r}, graph {expected[sample, unit]!r}"
        )


def owned_nodes(layers: set[str], graph: Graph) -> dict[str, Node]:
    """The node that gives each layer's output: its own, or the last of those that hls4ml split from it."""
    owned: dict[str, Node] = {}
    for node in graph.nodes[1:]:
        base = node.layer
        owner = (
            base
            if base in layers
            else max((name for name in layers if base.startswith(f"{name}_")), key=len, default="")
        )
        if not owner:
            raise MismatchError(f"no layer of the model is called {base!r}: nothing to compare with")
        if not node.inner:
            owned[owner] = node
    return owned


def _require_float32(graph: Graph) -> None:
    """ModelError where a float32 of QKeras could have to round, element by element on its own lattice."""
    reach = graph.reach()
    # bits by which an element's own lattice is coarser than its type's
    coarseness = {graph.input.name: np.zeros(graph.input.dims, np.int64)}
    types = {node.name: node.type for node in graph}
    for node in graph.nodes[1:]:
        coarse, source = coarseness[node.sources[0]], types[node.sources[0]]
        largest, none = _largest(reach[node.name]), np.zeros(node.dims, np.int64)
        match node.op:
            case Op.AFFINE:
                own = coarse = np.minimum(coarse + node.tensors["shift"], _trailing_zeros(node.tensors["bias"]))
            case Op.RESHAPE:
                own = coarse = coarse.reshape(node.dims)
            case Op.QUANTIZE | Op.TERNARY | Op.BINARY:  # QKeras computes x + (activation(x) - x), and the latter is on
                # both lattices. With alpha=None x here is tanh(x): never above 1, so that float32 gives -1, 0 and +1
                # back whatever it rounds between.
                step, finer = max(0, source.frac - node.type.frac), max(0, node.type.frac - source.frac)
                own, largest = (
                    np.minimum(coarse + finer, step),
                    (_largest(reach[node.sources[0]]) << finer) + (1 << step),
                )
                coarse = none
            case Op.DIVIDE:  # a mean in float32 rounds like the exact one while its sum leaves a bit
                own, largest, coarse = none, 2 * _largest(reach[node.sources[0]]), none
            case _:
                own = coarse = none
        coarseness[node.name] = coarse
        bits = np.array([value.bit_length() for value in (largest >> own).reshape(-1).tolist()])
        if bits.max() > _FLOAT32_BITS:
            read = source is graph.input.type and node.op is Op.QUANTIZE
            advice = "fewer bits" if read else "fewer inputs or input bits, or a coarser bias_quantizer"
            raise ModelError(
                f"layer {node.name!r} needs {bits.max()} bits for unit {bits.argmax()}; float32 QKeras is exact up to "
                f"{_FLOAT32_BITS}: use {advice}"
            )


def _largest(reach: tuple[Ints, Ints]) -> Ints:
    return np.maximum(np.abs(reach[0]), np.abs(reach[1]))


def _trailing_zeros(values: Ints) -> Ints:
    return np.array([(value & -value).bit_length() - 1 if value else 62 for value in values.tolist()])
