"""Graph -> Stages: every dense node with what follows it, up to the next dense node, is one stage of hardware."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.errors import ModelError
from hw.graph import Graph, Node, Op
from hw.stage import Activation, Binary, Linear, Quantize, Stage, Ternary


def stages(graph: Graph) -> tuple[Stage, ...]:
    """The stages of ``graph`` in order; their chained :meth:`Stage.run` equals ``graph.run``.

    Raises ModelError where the graph does not begin with a dense layer.
    """
    groups: list[list[Node]] = []
    sources: list[Node] = []
    for before, node in zip(graph.nodes, graph.nodes[1:], strict=False):
        if node.op is Op.DENSE:
            groups.append([node])
            sources.append(before)
        elif groups:
            groups[-1].append(node)
        elif not _is_identity(node, before):
            raise ModelError(f"layer {node.name!r} ({node.op.value}) comes before the first dense layer; remove it")
    if not groups:
        raise ModelError("the network has no dense layer; there is nothing to build")
    return tuple(_stage(group, source) for group, source in zip(groups, sources, strict=True))


def _is_identity(node: Node, source: Node) -> bool:
    """Whether quantizing to the input's own type changes nothing."""
    return node.op is Op.QUANTIZE and node.type == source.type


def _stage(nodes: Sequence[Node], source: Node) -> Stage:
    dense, rest = nodes[0], list(nodes[1:])
    up, bias = np.zeros(dense.size, np.int64), dense.tensors["bias"]
    while rest and rest[0].op is Op.AFFINE:
        shift = rest[0].tensors["shift"]
        up, bias = up + shift, (bias << shift) + rest[0].tensors["bias"]
        rest.pop(0)
    if len(rest) > 1:
        raise ModelError(f"layer {rest[1].name!r} follows the activation {rest[0].name!r}; put a dense layer between")
    return Stage(
        name=dense.name,
        weights=dense.tensors["trits"].astype(np.int8),
        input_bits=source.type.bits,
        input_signed=source.type.signed,
        input_ternary=source.op in (Op.TERNARY, Op.BINARY),
        up=up,
        bias=bias,
        activation=_activation(rest[0]) if rest else Linear(),
    )


def _activation(node: Node) -> Activation:
    match node.op:
        case Op.QUANTIZE:
            tensors = node.tensors
            return Quantize(int(tensors["shift"]), int(tensors["low"]), int(tensors["high"]))
        case Op.TERNARY:
            return Ternary(int(node.tensors["threshold"]))
        case _:
            assert node.op is Op.BINARY
            return Binary()
