"""Lower bounds against the schedules of emitted networks, trained or not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from networks import random_graph

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.target import Part
from hw.bounds import lower_bound
from hw.design import design
from hw.graph import Graph, Op
from hw.measure.delays import DelayModel

DELAYS = DelayModel.for_part(Part("xc7z020clg400-1", "xc7", "-1", {}))


def architecture(widths: list[int], activation: str, hardware: Hardware) -> Architecture:
    hidden = tuple(DenseLayer(units, activation) for units in widths[1:-1])  # type: ignore[arg-type]
    return Architecture(widths[0], widths[-1], 4, hidden, True, hardware)


def without_weights(graph: Graph) -> Graph:
    """Every unit constant: the least hardware of that shape."""
    nodes = []
    for node in graph:
        if node.op is Op.DENSE:
            tensors = {**node.tensors, "trits": np.zeros_like(node.tensors["trits"])}
            node = dataclasses.replace(node, tensors=tensors)
        nodes.append(node)
    return Graph(tuple(nodes))


@pytest.mark.parametrize("folding", [1, 3, 8, 64, 4096])
@pytest.mark.parametrize("activation", ["ternary", "3"])
@pytest.mark.parametrize("widths", [[12, 9, 5], [40, 24, 16, 10], [1, 1]])
def test_folded_cycles_are_those_of_the_schedule(widths: list[int], activation: str, folding: int) -> None:
    hardware = Hardware("folded", folding)
    bound = lower_bound(architecture(widths, activation, hardware))
    built = design(without_weights(random_graph(1, widths, activation)), hardware, DELAYS, 10.0)
    assert bound.value("latency_cycles") == built.latency_cycles
    assert bound.value("interval_cycles") == built.interval_cycles


@pytest.mark.parametrize("empty", [False, True])
def test_parallel_bounds_hold_even_when_every_unit_is_constant(empty: bool) -> None:
    graph = random_graph(1, [12, 9, 5], "ternary")
    built = design(without_weights(graph) if empty else graph, Hardware("parallel"), DELAYS, 10.0)
    bound = lower_bound(architecture([12, 9, 5], "ternary", Hardware("parallel")))
    assert bound.value("latency_cycles") <= built.latency_cycles
    assert bound.value("interval_cycles") <= built.interval_cycles
    assert bound.value("lut") == 4  # half of the hidden units
