"""What each operation of a Graph computes, exactly, in NumPy; and the values it can reach.

Images are arrays (n, rows, columns, channels), vectors (n, elements). ``padding`` is top, bottom, left, right;
``stride`` and ``window`` are rows, columns.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_EXACT_FLOAT = 2**52
"""Sums below this are exact in float64, whose matrix products are many times faster than those of integers."""


class Op(enum.StrEnum):
    """What a node computes from its inputs; see :func:`compute` for the exact arithmetic."""

    INPUT = "input"
    DENSE = "dense"
    CONV = "conv"
    DEPTHWISE = "depthwise"
    MAXPOOL = "maxpool"
    PAD = "pad"
    RESHAPE = "reshape"
    ADD = "add"
    CONCAT = "concat"
    AFFINE = "affine"
    QUANTIZE = "quantize"
    DIVIDE = "divide"
    TERNARY = "ternary"
    BINARY = "binary"
    ARGMAX = "argmax"


TENSORS: Mapping[Op, tuple[str, ...]] = {
    Op.INPUT: (),
    Op.DENSE: ("trits", "bias"),
    Op.CONV: ("trits", "bias", "stride", "padding"),
    Op.DEPTHWISE: ("trits", "bias", "stride", "padding"),
    Op.MAXPOOL: ("window", "stride", "padding"),
    Op.PAD: ("padding",),
    Op.RESHAPE: (),
    Op.ADD: ("shift",),
    Op.CONCAT: ("shift",),
    Op.AFFINE: ("shift", "bias"),
    Op.QUANTIZE: ("shift", "low", "high"),
    Op.DIVIDE: ("divisor", "low", "high"),
    Op.TERNARY: ("threshold",),
    Op.BINARY: (),
    Op.ARGMAX: (),
}
"""Names of the integer tensors each operation carries.

``trits``: (inputs, outputs) of a dense layer, (rows, columns, channels, outputs) of a convolution, (rows, columns,
channels, multiplier) of a depthwise one, whose output c * multiplier + m reads channel c. ``shift`` of add and concat:
bits by which each source is widened first.
"""

LINEAR = (Op.DENSE, Op.CONV, Op.DEPTHWISE)
"""Operations with weights: their outputs are sums."""
JOINS = (Op.ADD, Op.CONCAT)
"""Operations of several inputs."""


def round_half_even(values: Ints, shift: int) -> Ints:
    """``values / 2**shift`` rounded to the nearest integer, ties to even: tf.round, exactly."""
    if shift == 0:
        return values
    floor = values >> shift
    odd = floor & 1
    return (values + (1 << (shift - 1)) - 1 + odd) >> shift


def divide_half_even(values: Ints, divisor: int) -> Ints:
    """``values / divisor`` rounded to the nearest integer, ties to even, exactly."""
    floor, rest = np.divmod(values, divisor)
    found: Ints = floor + (2 * rest + (floor & 1) > divisor)
    return found


def compute(op: Op, tensors: Mapping[str, Ints], shape: Sequence[int], sources: Sequence[Ints]) -> Ints:
    """Output integers (n, *shape) of one operation on its sources' integers."""
    if op in JOINS:
        widened = [source << shift for source, shift in zip(sources, tensors["shift"].tolist(), strict=True)]
        joined: Ints = sum(widened[1:], widened[0]) if op is Op.ADD else np.concatenate(widened, axis=-1)
        return joined
    (x,) = sources
    if op in LINEAR:
        return weighted(op, tensors, tensors["trits"], x) + tensors["bias"]
    match op:
        case Op.MAXPOOL:
            lowest = np.iinfo(np.int64).min
            taken = windows(x, tensors["window"], tensors["stride"], tensors["padding"], lowest)
            found: Ints = taken.max(axis=(3, 4))
        case Op.PAD:
            found = padded(x, tensors["padding"], 0)
        case Op.RESHAPE:
            found = x.reshape(len(x), *shape)
        case Op.AFFINE:
            found = (x << tensors["shift"]) + tensors["bias"]
        case Op.ARGMAX:  # of equal ones the first
            found = x.argmax(axis=-1, keepdims=True).astype(np.int64)
        case _:
            found = _activation(op, tensors, x)
    return found


def _activation(op: Op, tensors: Mapping[str, Ints], x: Ints) -> Ints:
    match op:
        case Op.QUANTIZE:
            rounded = round_half_even(x, int(tensors["shift"]))
            return np.clip(rounded, int(tensors["low"]), int(tensors["high"]))
        case Op.DIVIDE:  # a mean of sums, quantized
            rounded = divide_half_even(x, int(tensors["divisor"]))
            return np.clip(rounded, int(tensors["low"]), int(tensors["high"]))
        case Op.TERNARY:
            threshold = int(tensors["threshold"])
            return (x >= threshold).astype(np.int64) - (x <= -threshold).astype(np.int64)
        case Op.BINARY:
            return np.where(x >= 0, np.int64(1), np.int64(-1))
        case _:
            raise AssertionError(f"{op} computes nothing")


def weighted(op: Op, tensors: Mapping[str, Ints], weights: Ints, x: Ints) -> Ints:
    """The sums of a linear operation without its bias, for ``weights`` of the shape of its trits."""
    if op is Op.DENSE:
        return matmul(x, weights)
    rows, columns, channels, outputs = weights.shape
    taken = windows(x, np.array([rows, columns]), tensors["stride"], tensors["padding"], 0)
    if op is Op.CONV:
        flat = taken.reshape(*taken.shape[:3], rows * columns * channels)
        return matmul(flat, weights.reshape(-1, outputs))
    sums: Ints = np.einsum("nrcijk,ijkm->nrckm", taken, weights)
    return sums.reshape(*sums.shape[:3], channels * outputs)


def reach(
    op: Op, tensors: Mapping[str, Ints], shape: Sequence[int], ends: Sequence[tuple[Ints, Ints]]
) -> tuple[Ints, Ints]:
    """Smallest and largest output of every element; ``ends`` are the low and high of each source, per element."""
    if op is Op.ARGMAX:
        return np.zeros(1, np.int64), np.full(1, len(ends[0][0]) - 1)
    lows, highs = ([end[side][None] for end in ends] for side in (0, 1))
    if op not in LINEAR:  # every other operation is monotone in each of its inputs
        return compute(op, tensors, shape, lows)[0], compute(op, tensors, shape, highs)[0]
    trits, bias = tensors["trits"], tensors["bias"]
    plus, minus = np.maximum(trits, 0), np.minimum(trits, 0)

    def extreme(with_plus: Ints, with_minus: Ints) -> Ints:
        sums: Ints = weighted(op, tensors, plus, with_plus) + weighted(op, tensors, minus, with_minus)
        total: Ints = sums[0] + bias
        return total

    return extreme(lows[0], highs[0]), extreme(highs[0], lows[0])


def matmul(x: Ints, weights: Ints) -> Ints:
    """``x @ weights``, through float64 where that is exact."""
    largest = int(np.abs(x).max(initial=0)) * int(np.abs(weights).max(initial=0)) * len(weights)
    if largest >= _EXACT_FLOAT:
        return x @ weights
    product: Ints = (x.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
    return product


def padded(x: Ints, padding: Ints, value: int) -> Ints:
    """Images (n, rows, columns, channels) with ``value`` around them."""
    top, bottom, left, right = padding.tolist()
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def windows(x: Ints, window: Ints, stride: Ints, padding: Ints, value: int) -> Ints:
    """Every window of images: (n, output rows, output columns, window rows, window columns, channels)."""
    whole = padded(x, padding, value)
    taken = np.lib.stride_tricks.sliding_window_view(whole, tuple(window.tolist()), axis=(1, 2))
    return taken[:, :: int(stride[0]), :: int(stride[1])].transpose(0, 1, 2, 4, 5, 3)
