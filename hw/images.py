"""What hls4ml's layers on images become in a Graph: convolution geometry, pooling, padding, reshaping, joins.

A sequence (steps, channels) is an image of one row. Average pooling is a depthwise sum whose point moves: exact where
the window's area is a power of two. Of other areas the sum is handed on to the quantizer behind it, which divides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.errors import ModelError
from hw.accepted import SUPPORTED
from hw.chain import Chain, Mean
from hw.graph import INNER, Ints, Node, Op

Geometry = dict[str, Ints]


def image(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in a Graph of a layer's output of ``dims``: vectors stay, sequences get one row."""
    return (1, *dims) if len(dims) == 2 else dims


def linear_of(layer: Any, trits: Ints, dims: tuple[int, ...]) -> tuple[Op, Ints, Geometry, tuple[int, ...]]:
    """Operation, weights, geometry and output shape of a layer with weights that reads values of shape ``dims``."""
    if layer.class_name == "Dense":
        if len(dims) == 1:
            return Op.DENSE, trits, {}, (trits.shape[1],)
        one = {"stride": np.array([1, 1]), "padding": np.zeros(4, np.int64)}  # Keras applies it to every pixel
        return Op.CONV, trits[None, None], one, (*dims[:2], trits.shape[1])
    weights = trits if trits.ndim == 4 else trits[None]
    op = Op.DEPTHWISE if layer.class_name.startswith("Depthwise") else Op.CONV
    outputs = weights.shape[2] * weights.shape[3] if op is Op.DEPTHWISE else weights.shape[3]
    shape = _geometry(layer)
    return op, weights, shape, (*_extents(layer.name, dims, weights.shape[:2], shape), outputs)


def add_structure(layer: Any, chain: Chain, sources: list[Node]) -> None:
    """Append what a layer without weights and activation does; ModelError where there is no exact node for it."""
    match layer.class_name:
        case "Reshape":
            dims = image(tuple(int(extent) for extent in layer.get_output_variable().shape))
            chain.add(chain.name(layer.name), Op.RESHAPE, chain.last.type, {}, dims=dims)
        case "ZeroPadding1D" | "ZeroPadding2D":
            _pad(layer, chain)
        case "Pooling1D" | "Pooling2D" | "GlobalPooling1D" | "GlobalPooling2D":
            _pool(layer, chain)
        case "Merge" | "Concatenate":
            _join(layer, chain, sources)
        case kind:
            raise ModelError(f"layer {layer.name!r} ({kind}) is not supported; supported: {SUPPORTED}")


def _pad(layer: Any, chain: Chain) -> None:
    padding = _padding(layer)
    rows, columns, channels = chain.last.dims
    top, bottom, left, right = padding.tolist()
    dims = (rows + top + bottom, columns + left + right, channels)
    chain.add(chain.name(layer.name), Op.PAD, chain.last.type.frac, {"padding": padding}, dims=dims)


def _pool(layer: Any, chain: Chain) -> None:
    rows, columns, channels = chain.last.dims
    whole = layer.class_name.startswith("Global")
    if whole:
        window, shape = (rows, columns), {"stride": np.array([1, 1]), "padding": np.zeros(4, np.int64)}
    else:
        window = int(layer.get_attr("pool_height", 1)), int(layer.get_attr("pool_width"))
        shape = _geometry(layer)
    dims = (*_extents(layer.name, chain.last.dims, window, shape), channels)
    vector = whole and len(layer.get_output_variable().shape) == 1
    name = f"{layer.name}{INNER}pool" if vector else chain.name(layer.name)
    if layer.get_attr("pool_op") == "Max":
        chain.add(name, Op.MAXPOOL, chain.last.type, {"window": np.array(window), **shape}, dims=dims)
    else:
        _average(layer.name, name, window, shape, dims, chain)
    if vector:
        chain.add(chain.name(layer.name), Op.RESHAPE, chain.last.type, {}, dims=(channels,))


def _average(
    layer: str, name: str, window: tuple[int, int], shape: Geometry, dims: tuple[int, ...], chain: Chain
) -> None:
    area, channels = window[0] * window[1], dims[-1]
    kind = chain.formats.weight(layer) if chain.formats else None
    if area & (area - 1) and kind is not None and not shape["padding"].any():
        weight = np.full((*window, channels, 1), chain.rounded(layer, kind, np.array([1 / area])))
        tensors = {"trits": weight, "bias": np.zeros(channels, np.int64), **shape}
        chain.add(name, Op.DEPTHWISE, chain.last.type.frac + kind.frac, tensors, dims=dims)
        return
    if shape["padding"].any():
        raise ModelError(f"layer {layer!r} averages fewer values at the border (padding='same'); use padding='valid'")
    tensors = {"trits": np.ones((*window, channels, 1), np.int64), "bias": np.zeros(channels, np.int64), **shape}
    if area & (area - 1):
        chain.add(f"{layer}{INNER}total", Op.DEPTHWISE, chain.last.type.frac, tensors, dims=dims)
        chain.stand_for(Mean(layer, area))
        return
    chain.add(name, Op.DEPTHWISE, chain.last.type.frac + area.bit_length() - 1, tensors, dims=dims)


def _join(layer: Any, chain: Chain, sources: list[Node]) -> None:
    operation = str(layer.get_attr("op"))
    frac = max(node.type.frac for node in sources)
    shift = {"shift": np.array([frac - node.type.frac for node in sources])}
    shapes = [node.dims for node in sources]
    if operation == "add":
        if len(set(shapes)) > 1:
            raise ModelError(f"layer {layer.name!r} adds shapes {shapes}; give both the same: nothing is broadcast")
        chain.add(layer.name, Op.ADD, frac, shift, sources=sources)
    elif operation.startswith("concatenate"):
        if len({dims[:-1] for dims in shapes}) > 1:
            raise ModelError(f"layer {layer.name!r} concatenates shapes {shapes}; only channels are concatenated")
        dims = (*shapes[0][:-1], sum(dims[-1] for dims in shapes))
        chain.add(layer.name, Op.CONCAT, frac, shift, dims=dims, sources=sources)
    else:
        raise ModelError(f"layer {layer.name!r} ({operation}) is not supported; supported: {SUPPORTED}")


def _padding(layer: Any) -> Ints:
    """Top, bottom, left, right."""
    return np.array([int(layer.get_attr(f"pad_{side}", 0)) for side in ("top", "bottom", "left", "right")])


def _geometry(layer: Any) -> Geometry:
    stride = [int(layer.get_attr("stride_height", 1)), int(layer.get_attr("stride_width"))]
    return {"stride": np.array(stride), "padding": _padding(layer)}


def _extents(name: str, dims: tuple[int, ...], window: tuple[int, ...], shape: Geometry) -> tuple[int, int]:
    """Rows and columns of the output."""
    top, bottom, left, right = shape["padding"].tolist()
    rows, columns = dims[0] + top + bottom, dims[1] + left + right
    if window[0] > rows or window[1] > columns:
        raise ModelError(
            f"layer {name!r} has a window of {window[0]} x {window[1]} over an image of {rows} x {columns}; make it fit"
        )
    stride = shape["stride"].tolist()
    return (rows - window[0]) // stride[0] + 1, (columns - window[1]) // stride[1] + 1
