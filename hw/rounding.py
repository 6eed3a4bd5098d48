"""Layers that no integer network gives exactly, rounded to formats that the user chose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import ModelError
from hw.activations import add_quantizer
from hw.chain import Chain
from hw.graph import INNER, FixedType, Ints
from hw.images import linear_of
from hw.operations import Op

Floats = NDArray[np.float64]

_WIDEST = 60


def add_rounded(layer: Any, chain: Chain, weights: Floats, *, inner: bool) -> bool:
    """Append a layer with real ``weights``; False, and nothing, where it is exact as it is or no format was chosen.

    The bias is rounded to the lattice of the sums, of ternary weights to that of input and weight format together.
    ``inner``: its output is that of a layer behind it, which scales it.
    """
    kind = chain.formats.weight(layer.name) if chain.formats else None
    if kind is None:
        return False
    bias = np.asarray(layer.weights["bias"].data, np.float64).reshape(-1)
    source = chain.last.type.frac
    ternary = bool(np.isin(weights, (-1.0, 0.0, 1.0)).all())
    if ternary and _on_lattice(bias, source + max(kind.frac, 0)):
        return False
    integers = weights.astype(np.int64) if ternary else chain.rounded(layer.name, kind, weights)
    op, trits, shape, dims = linear_of(layer, integers, chain.last.dims)
    _require_room(layer.name, chain, kind, trits.size // trits.shape[-1])
    frac = source if ternary else source + kind.frac
    offsets = np.zeros(len(bias), np.int64) if ternary else _rounded(bias, frac)
    name = f"{layer.name}{INNER}sum" if inner or ternary else layer.name
    chain.add(name, op, frac, {"trits": trits, "bias": offsets, **shape}, dims=dims)
    if ternary:
        finer = max(kind.frac, 0)
        tensors = {"shift": np.full(len(bias), finer), "bias": _rounded(bias, source + finer)}
        chain.add(f"{layer.name}{INNER}bias" if inner else layer.name, Op.AFFINE, source + finer, tensors)
    return True


def add_rounded_scale(layer: Any, chain: Chain, scale: Floats, offset: Floats, name: str) -> bool:
    """Append scale and offset of each channel as ``name``; False, and nothing, where they are exact as they are."""
    base = layer.name.removesuffix("_alpha")
    kind = chain.formats.weight(base) if chain.formats else None
    if kind is None:
        return False
    frac = chain.last.type.frac + kind.frac
    if (scale > 0).all() and (np.frexp(scale)[0] == 0.5).all() and _on_lattice(offset, max(frac, 0)):
        return False
    channels, dims = len(scale), chain.last.dims
    _require_room(base, chain, kind, 1)
    if len(dims) == 1:  # a vector is an image of one pixel
        chain.add(f"{name}{INNER}pixel", Op.RESHAPE, chain.last.type, {}, dims=(1, 1, channels))
    tensors = {
        "trits": chain.rounded(base, kind, scale).reshape(1, 1, channels, 1), "bias": _rounded(offset, frac),
        "stride": np.ones(2, np.int64), "padding": np.zeros(4, np.int64),
    }  # fmt: skip
    chain.add(f"{name}{INNER}scaled" if len(dims) == 1 else name, Op.DEPTHWISE, frac, tensors)
    if len(dims) == 1:
        chain.add(name, Op.RESHAPE, chain.last.type, {}, dims=dims)
    return True


def add_result(name: str, chain: Chain, *, exact: bool) -> None:
    """Round what the layer ``name`` gives to its format, if one was chosen."""
    kind = chain.formats.result(name, exact=exact) if chain.formats else None
    if kind is not None:
        add_quantizer(f"{name}_result", kind, chain, narrow=False)


def _on_lattice(values: Floats, frac: int) -> bool:
    scaled = np.ldexp(values, frac)
    return bool((scaled == np.rint(scaled)).all())


def _rounded(values: Floats, frac: int) -> Ints:
    return np.rint(np.ldexp(values, frac)).astype(np.int64)


def _require_room(name: str, chain: Chain, kind: FixedType, terms: int) -> None:
    """ModelError where a sum could exceed 64-bit arithmetic."""
    bits = chain.last.type.bits + kind.bits + terms.bit_length()
    if bits > _WIDEST:
        raise ModelError(
            f"layer {name!r} would need sums of {bits} bits; give what it reads fewer with --format result=fixed<16,6>"
        )
