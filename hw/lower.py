"""hls4ml ModelGraph -> Graph, and the layer-by-layer self-check against QKeras."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import MismatchError, ModelError
from hw.accepted import SUPPORTED
from hw.activations import add_activation
from hw.chain import Chain
from hw.graph import INNER, FixedType, Graph, Ints, Node, Op

Floats = NDArray[np.float64]

_FLOAT32_BITS = 24
_FINEST = 48
_WIDEST = 60  # int64 with room for a sum of two


def lower(model_graph: Any) -> Graph:
    """The integer network hls4ml understood; ModelError names the layer that cannot be exact."""
    chain = Chain()
    for layer in model_graph.get_layers():
        if chain.nodes and layer.inputs != [chain.read]:
            raise ModelError(f"layer {layer.name!r} reads {layer.inputs}: only chains of layers are supported")
        _lower_layer(layer, chain)
        (chain.read,) = layer.outputs
    return Graph(tuple(chain.nodes))


def _lower_layer(layer: Any, chain: Chain) -> None:
    match layer.class_name:
        case "Input":
            _input(layer, chain)
        case "Dense":
            _dense(layer, chain)
        case "BatchNormalization" | "ApplyAlpha":
            _affine(layer, chain)
        case "Activation" | "TernaryTanh" | "BinaryTanh":
            add_activation(layer, chain)
        case kind:
            raise ModelError(f"layer {layer.name!r} ({kind}) is not supported; supported: {SUPPORTED}")


def _input(layer: Any, chain: Chain) -> None:
    precision = layer.get_output_variable().type.precision
    shape = layer.get_output_variable().shape
    if len(shape) != 1:
        raise ModelError(f"input {layer.name!r} has shape {tuple(shape)}; only vectors are supported: flatten it first")
    kind = FixedType(bool(precision.signed), int(precision.width), int(precision.width - precision.integer))
    size = int(shape[0])
    chain.nodes.append(Node(layer.name, Op.INPUT, None, size, kind))
    chain.reach.append((np.full(size, kind.low), np.full(size, kind.high)))


def _dense(layer: Any, chain: Chain) -> None:
    weights = np.asarray(layer.weights["weight"].data, np.float64)
    if type(layer.weights["weight"].type.precision).__name__ == "XnorPrecisionType":
        weights = 2 * weights - 1  # hls4ml holds binary kernels as 0 for -1, 1 for +1
    if not np.isin(weights, (-1.0, 0.0, 1.0)).all():
        value = weights[~np.isin(weights, (-1.0, 0.0, 1.0))].flat[0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) has weight {value:g}, which is not -1, 0 or +1; "
            "quantize its kernel with ternary(alpha=1) or binary(alpha=1)"
        )
    trits = weights.astype(np.int64)
    bias = np.asarray(layer.weights["bias"].data, np.float64).reshape(-1)
    frac = chain.last.type.frac
    finer = _frac_bits(layer.name, "bias", bias, frac) - frac
    # where alpha is taken out of the kernel, the layer's output is the ApplyAlpha (or what that was fused into)
    name = f"{layer.name}{INNER}sum" if finer or _alpha(layer) else layer.name
    offsets = np.zeros(len(bias), np.int64) if finer else _integers(layer.name, bias, frac)
    chain.add(name, Op.DENSE, frac, {"trits": trits, "bias": offsets})
    if finer:
        name = f"{layer.name}{INNER}bias" if _alpha(layer) else layer.name
        tensors = {"shift": np.full(len(bias), finer), "bias": _integers(layer.name, bias, frac + finer)}
        chain.add(name, Op.AFFINE, frac + finer, tensors)


def _alpha(layer: Any) -> bool:
    """Whether hls4ml took a scale out of the kernel or bias of this dense layer."""
    for weight in (layer.weights["weight"], layer.weights["bias"]):
        config = getattr(getattr(weight, "quantizer", None), "qkeras_config", {"config": {}})
        alpha = config["config"].get("alpha")
        if isinstance(alpha, str) or alpha not in (None, 1):
            return True
    return False


def _affine(layer: Any, chain: Chain) -> None:
    scale = np.asarray(layer.weights["scale"].data, np.float64).reshape(-1)
    offset = np.asarray(layer.weights["bias"].data, np.float64).reshape(-1)
    low, high = chain.reach[-1]
    _absorb_signs(layer, np.where(low == high, 1.0, scale), chain)
    low, high = chain.reach[-1]
    fixed = low == high  # such a channel is what it is, whatever it is scaled by
    offset = np.where(fixed, offset + scale * chain.last.type.to_real(low), offset)
    mantissa, exponent = np.frexp(np.abs(scale))
    if not (mantissa[~fixed] == 0.5).all():
        channel = np.flatnonzero(~fixed & (mantissa != 0.5))[0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) scales channel {channel} by {scale[channel]:.9g}, which is no "
            "power of two (or the negative of one); snap its scales to powers of two and train on"
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
    dense = layer.name.removesuffix("_alpha")  # whose scale hls4ml took out under that name
    name = dense if any(node.name == f"{dense}{INNER}sum" for node in chain.nodes) else layer.name
    chain.add(name, Op.AFFINE, frac, {"shift": shift, "bias": bias})


def _absorb_signs(layer: Any, scale: Floats, chain: Chain) -> None:
    """Move signs and zeros of ``scale`` into the dense layer before it: the scales of a Graph are positive."""
    if (scale > 0).all():
        return
    taken = []
    while chain.last.op is Op.AFFINE:
        taken.append(chain.take())
    if chain.last.op is not Op.DENSE:
        channel = np.flatnonzero(scale <= 0)[0]
        raise ModelError(
            f"layer {layer.name!r} ({layer.class_name}) scales channel {channel} by {scale[channel]:g} after "
            f"{chain.last.name!r}, which is no dense layer; put it behind one"
        )
    taken.append(chain.take())
    sign = np.sign(scale).astype(np.int64)
    for node in reversed(taken):
        tensors = {key: tensor if key == "shift" else tensor * sign for key, tensor in node.tensors.items()}
        name = node.name if node.inner else f"{node.name}{INNER}signed"
        chain.add(name, node.op, node.type.frac, tensors)


def _frac_bits(name: str, what: str, values: Floats, least: int) -> int:
    """Fewest fractional bits, but no fewer than ``least``, that hold ``values`` exactly."""
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
    owned = _outputs({layer.name for layer in model.layers}, graph) | {model.layers[-1].name: graph.output}
    values = graph.input.type.to_real(x).astype(np.float32)
    trace = graph.trace(x)
    for layer in model.layers:
        if layer.name == graph.input.name:
            continue
        values = layer(values)
        node = owned.get(layer.name)
        if node is None:
            continue
        expected = node.type.to_real(trace[node.name])
        found = np.asarray(values, np.float64)
        if expected.shape != found.shape:
            raise MismatchError(f"layer {layer.name!r} gives values of shape {found.shape}, the graph {expected.shape}")
        if not np.array_equal(expected, found):
            sample, unit = np.argwhere(expected != found)[0]
            raise MismatchError(
                f"layer {layer.name!r} differs first: sample {sample}, unit {unit}: "
                f"QKeras {found[sample, unit]!r}, graph {expected[sample, unit]!r}"
            )


def _outputs(layers: set[str], graph: Graph) -> dict[str, Node]:
    """The node that gives each layer's output: its own, or the last of those that hls4ml split from it."""
    owned: dict[str, Node] = {}
    owner = ""
    for node in graph.nodes[1:]:
        base = node.layer
        if base in layers:
            owner = base
        elif not (owner and base.startswith(f"{owner}_")):
            raise MismatchError(f"no layer of the model is called {base!r}: nothing to compare with")
        if not node.inner:
            owned[owner] = node
    return owned


def _require_float32(graph: Graph) -> None:
    """ModelError where a float32 of QKeras could have to round, element by element on its own lattice."""
    reach = graph.reach()
    coarse = np.zeros(graph.input.size, np.int64)  # bits by which an element's own lattice is coarser than its type's
    largest = np.zeros(graph.input.size, np.int64)
    for source, node in zip(graph.nodes, graph.nodes[1:], strict=False):
        match node.op:
            case Op.DENSE:
                coarse, largest = np.zeros(node.size, np.int64), _largest(reach[node.name])
            case Op.AFFINE:
                coarse = np.minimum(coarse + node.tensors["shift"], _trailing_zeros(node.tensors["bias"]))
                largest = _largest(reach[node.name])
            case _:  # QKeras computes x + (activation(x) - x), and the latter is on both lattices. With alpha=None x
                # here is tanh(x): never above 1, so that float32 gives -1, 0 and +1 back whatever it rounds between.
                step = max(0, source.type.frac - node.type.frac)
                finer = max(0, node.type.frac - source.type.frac)
                coarse, largest = np.minimum(coarse + finer, step), (largest << finer) + (1 << step)
        bits = np.array([value.bit_length() for value in (largest >> coarse).tolist()])
        if bits.max() > _FLOAT32_BITS:
            raise ModelError(
                f"layer {node.name!r} needs {bits.max()} bits for unit {bits.argmax()}; float32 QKeras is exact up to "
                f"{_FLOAT32_BITS}"
            )
        if node.op not in (Op.DENSE, Op.AFFINE):
            coarse, largest = np.zeros(node.size, np.int64), _largest(reach[node.name])


def _largest(reach: tuple[Ints, Ints]) -> Ints:
    return np.maximum(np.abs(reach[0]), np.abs(reach[1]))


def _trailing_zeros(values: Ints) -> Ints:
    return np.array([(value & -value).bit_length() - 1 if value else 62 for value in values.tolist()])
