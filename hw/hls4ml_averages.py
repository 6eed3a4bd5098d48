"""Types with which hls4ml's average pooling is exact; left to itself it rounds each mean to the type of its input."""

from __future__ import annotations

from hw.graph import FixedType, Graph, Node, Op

_THRESHOLD_BITS = 24  # of a float32, with which a ternary activation compares


def average_types(layer: str, graph: Graph) -> dict[str, str]:
    """hls4ml's types, by what they are of, for the average pooling ``layer`` of the model that ``graph`` was made of.

    hls4ml cuts a quotient off at the step of its accumulator. A mean of 2**n values has n more fractional bits than
    they; others need as many that the cut moves none over a value at which the quantizer behind decides.
    """
    (sums,) = (node for node in graph if node.layer == layer and node.op is Op.DEPTHWISE)
    rows, columns, *_ = sums.tensors["trits"].shape
    more, kind = (rows * columns - 1).bit_length(), sums.type
    if rows * columns == 1 << more:
        total = FixedType(kind.signed, kind.bits + more, kind.frac)
        return {"result": _cutting(kind), "accum": _cutting(total)}
    frac = max(kind.frac, _decided(sums, graph)) + more
    total = FixedType(kind.signed, kind.bits + frac - kind.frac, frac)
    return {"result": _cutting(total), "accum": _cutting(total)}


def _decided(sums: Node, graph: Graph) -> int:
    """Fractional bits of the values at which the quantizers behind ``sums`` decide."""
    held, found = {sums.name}, 0
    for node in graph.nodes[1:]:
        if held.isdisjoint(node.sources):
            continue
        if node.op is Op.DIVIDE:
            found = max(found, node.type.frac + 1)
        elif node.op is Op.TERNARY:
            found = max(found, _THRESHOLD_BITS)
        elif node.op is not Op.BINARY:
            held.add(node.name)
    return found


def _cutting(kind: FixedType) -> str:
    return f"{'fixed' if kind.signed else 'ufixed'}<{kind.bits},{kind.bits - kind.frac}>"
