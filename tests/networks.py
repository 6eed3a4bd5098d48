"""Random integer networks for the hardware tests."""

from __future__ import annotations

import itertools

import numpy as np

from hw.graph import FixedType, Graph, Node, Op


def random_graph(
    seed: int,
    widths: list[int],
    activation: str,
    *,
    input_bits: int = 4,
    input_signed: bool = False,
    density: float = 0.5,
) -> Graph:
    """Dense layers of ``widths`` with per-channel scales and offsets, hidden ``activation``, linear end.

    Some columns are all zero, some all +1.
    """
    rng = np.random.default_rng(seed)
    frac = input_bits - int(input_signed)
    nodes = [Node("x", Op.INPUT, None, widths[0], FixedType(input_signed, input_bits, frac))]
    for index, (rows, units) in enumerate(itertools.pairwise(widths)):
        trits = rng.choice([-1, 0, 1], (rows, units), p=[density / 2, 1 - density, density / 2])
        if units > 2:
            trits[:, 0], trits[:, 1] = 0, 1
        last = index == len(widths) - 2
        bias = rng.integers(-5, 6, units) if last else np.zeros(units, np.int64)
        source = nodes[-1].type
        bits = source.bits + int(rows).bit_length() + 2
        dense = FixedType(True, bits, source.frac)
        nodes.append(Node(f"dense_{index}", Op.DENSE, nodes[-1].name, units, dense, {"trits": trits, "bias": bias}))
        if last:
            break
        shift = rng.integers(0, 3, units)
        affine = FixedType(True, bits + 4, source.frac + 2)
        offset = rng.integers(-9, 10, units) << shift
        nodes.append(Node(f"norm_{index}", Op.AFFINE, nodes[-1].name, units, affine, {"shift": shift, "bias": offset}))
        nodes.append(_activation(f"act_{index}", activation, nodes[-1].name, units, rows, source.bits))
    return Graph(tuple(nodes))


def _activation(name: str, activation: str, source: str, units: int, rows: int, bits: int) -> Node:
    spread = max(1, round(rows**0.5) << bits)
    if activation == "ternary":
        threshold = {"threshold": np.array(max(1, spread // 4))}
        return Node(name, Op.TERNARY, source, units, FixedType(True, 2, 0), threshold)
    if activation == "binary":
        return Node(name, Op.BINARY, source, units, FixedType(True, 2, 0))
    signed = activation.startswith("s")
    width = int(activation.lstrip("s"))
    kind = FixedType(signed, width, width - int(signed))
    shift = max(0, spread.bit_length() + 1 - width)
    tensors = {"shift": np.array(shift), "low": np.array(kind.low), "high": np.array(kind.high)}
    return Node(name, Op.QUANTIZE, source, units, kind, tensors)


def random_inputs(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    kind = graph.input.type
    return np.random.default_rng(seed).integers(kind.low, kind.high + 1, (count, graph.input.size))
