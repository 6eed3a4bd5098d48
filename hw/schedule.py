"""Graph -> Stages: every dense node with what follows it, up to the next dense node, is one stage of hardware."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from codesign.errors import ModelError
from hw.graph import Graph, Ints, Node, Op
from hw.stage import Activation, Binary, Divide, Linear, Quantize, Stage, Ternary


def stages(graph: Graph) -> tuple[Stage, ...]:
    """The stages of ``graph`` in order; their chained :meth:`Stage.run` equals ``graph.run``.

    Raises ModelError where the graph does not begin with a dense layer.
    """
    groups: list[list[Node]] = []
    for before, node in zip(graph.nodes, graph.nodes[1:], strict=False):
        if node.op is Op.DENSE:
            groups.append([node])
        elif groups:
            groups[-1].append(node)
        elif not is_identity(node, before):
            raise ModelError(
                f"layer {node.name!r} ({node.op.value}) changes the quantized input before the first dense layer; "
                "leave it out, or let the input's own quantizer give these values"
            )
    if not groups:
        raise ModelError("the network has no dense layer; there is nothing to build")
    reach = graph.reach()
    found: list[Stage] = []
    for group in groups:
        dense, source = group[0], format_of(found[-1] if found else graph.input)
        found.append(make_stage(dense.layer, dense.tensors["trits"], dense.tensors["bias"], group[1:], source, reach))
    return tuple(found)


class Format(TypedDict):
    """What a stage reads."""

    input_bits: int
    input_signed: bool
    input_ternary: bool
    input_binary: bool
    input_low: int
    input_high: int


def format_of(source: Stage | Node) -> Format:
    """What the stage before gives; its node of the graph may be of a wider type, as one with a relu before it is."""
    if isinstance(source, Node):
        kind = source.type
        return Format(
            input_bits=kind.bits,
            input_signed=kind.signed,
            input_ternary=False,
            input_binary=False,
            input_low=kind.low,
            input_high=kind.high,
        )
    low, high = source.output_range
    return Format(
        input_bits=source.output_bits,
        input_signed=source.output_signed,
        input_ternary=source.output_ternary,
        input_binary=source.output_binary,
        input_low=low,
        input_high=high,
    )


def is_identity(node: Node, source: Node) -> bool:
    """Whether quantizing to the input's own type, all of it, changes nothing."""
    whole = node.op is Op.QUANTIZE and int(node.tensors["low"]) == node.type.low
    return whole and node.type == source.type


def make_stage(
    name: str,
    weights: Ints,
    bias: Ints,
    following: Sequence[Node],
    source: Format,
    reach: Mapping[str, tuple[Ints, Ints]],
) -> Stage:
    """Sums with ``weights`` (inputs, outputs) and ``bias``, and what follows: scales, then at most one activation."""
    affine = list(itertools.takewhile(lambda node: node.op is Op.AFFINE, following))
    rest = _without_relu(following[len(affine) :], reach)
    affine += rest[:-1]
    up = np.zeros(weights.shape[1], np.int64)
    for node in affine:
        shift = node.tensors["shift"]
        up, bias = up + shift, (bias << shift) + node.tensors["bias"]
    return Stage(
        name=name,
        weights=weights.astype(np.int8),
        **source,
        up=up,
        bias=bias,
        activation=_activation(rest[-1]) if rest else Linear(),
    )


def _without_relu(nodes: Sequence[Node], reach: Mapping[str, tuple[Ints, Ints]]) -> list[Node]:
    """The one activation of a stage, behind shifts that a relu before it commutes with.

    A quantizer after a relu takes away what is negative by itself, as its lowest value is then 0 or more.
    """
    if len(nodes) < 2:
        return list(nodes)
    first, *between, last = nodes
    shifts = all(node.op is Op.AFFINE and not node.tensors["bias"].any() for node in between)
    if not (is_relu(first, reach) and shifts and last.op is Op.QUANTIZE):
        raise ModelError(f"layer {nodes[1].name!r} follows the activation {first.name!r}; put a dense layer between")
    low = np.maximum(last.tensors["low"], 0)
    return [*between, dataclasses.replace(last, tensors={**last.tensors, "low": low})]


def is_relu(node: Node, reach: Mapping[str, tuple[Ints, Ints]]) -> bool:
    """Whether ``node`` takes away what is negative and nothing else."""
    if node.op is not Op.QUANTIZE:
        return False
    shift, low, high = (int(node.tensors[name]) for name in ("shift", "low", "high"))
    return shift == 0 and low == 0 and high >= reach[node.sources[0]][1].max()


def _activation(node: Node) -> Activation:
    match node.op:
        case Op.QUANTIZE:
            tensors = node.tensors
            return Quantize(int(tensors["shift"]), int(tensors["low"]), int(tensors["high"]))
        case Op.DIVIDE:
            tensors = node.tensors
            return Divide(int(tensors["divisor"]), int(tensors["low"]), int(tensors["high"]))
        case Op.TERNARY:
            return Ternary(int(node.tensors["threshold"]))
        case _:
            assert node.op is Op.BINARY
            return Binary()
