"""Where registers go: cut for the period, then moved to where they are fewest."""

from __future__ import annotations

import re

import numpy as np
import pytest
from networks import random_graph

from codesign.target import Part
from hw.emit.adders import add_matrix
from hw.emit.parallel import Ranges, layer_graph, sized
from hw.emit.pipeline import Pipeline, Placement, Signal, operation_delays, place, register_bits, render
from hw.emit.retiming import retime
from hw.measure.delays import DelayModel
from hw.schedule import stages

DELAYS = DelayModel.for_part(Part("xc7z020clg400-1", "xc7", "-1", {}))


def registers(pipeline: Pipeline, placement: Placement) -> int:
    """Register bits, counted from the readers."""
    last = dict.fromkeys(pipeline.outputs, placement.latency)
    for signal in pipeline.live():
        for source in signal.sources:
            last[source] = max(last.get(source, 0), placement.cycle[signal.name])
    return sum(pipeline.signals[name].bits * (cycle - placement.cycle[name]) for name, cycle in last.items())


def matrix(seed: int) -> Pipeline:
    weights = np.random.default_rng(seed).choice([-1, 0, 1], (40, 20)).astype(np.int8)
    pipeline = Pipeline()
    names = [pipeline.add(Signal(f"x{row}", 0, 15, (), None, 0)) for row in range(len(weights))]
    words = add_matrix(pipeline, names, weights, [0] * weights.shape[1], 4)
    pipeline.outputs += [word.name for word in words if word and word.name]
    return pipeline


@pytest.mark.parametrize("period_ns", [2.6, 4.0, 6.0])
def test_fewer_registers_at_the_same_latency_and_clock(period_ns: float) -> None:
    pipeline = matrix(1)
    earliest = place(pipeline, DELAYS, period_ns, [0.0] * 40)
    delays = operation_delays(pipeline, DELAYS)
    moved = retime(pipeline, earliest, delays, period_ns)
    assert moved.latency == earliest.latency
    assert registers(pipeline, moved) < registers(pipeline, earliest)
    for signal in pipeline.live():
        cycle, settled = moved.cycle[signal.name], moved.settled_ns[signal.name]
        assert 0 <= cycle <= moved.latency
        if signal.render is None:
            continue
        assert all(moved.cycle[source] <= cycle for source in signal.sources)
        begins = [moved.settled_ns[source] for source in signal.sources if moved.cycle[source] == cycle]
        assert settled == pytest.approx(max(begins, default=moved.overhead_ns) + delays[signal.name])
        assert settled <= max(period_ns, moved.overhead_ns + delays[signal.name]) + 1e-9


def test_no_output_settles_later() -> None:
    pipeline = matrix(2)
    earliest = place(pipeline, DELAYS, 5.0, [0.0] * 40)
    moved = retime(pipeline, earliest, operation_delays(pipeline, DELAYS), 5.0)
    for name in pipeline.outputs:
        if moved.cycle[name] == moved.latency:
            assert earliest.cycle[name] == moved.latency
            assert moved.settled_ns[name] <= earliest.settled_ns[name] + 1e-9


def test_nothing_moves_without_a_gain() -> None:
    pipeline = Pipeline()
    for name in "abc":
        pipeline.add(Signal(name, 0, 15, (), None, 0))
    pipeline.add(Signal("ab", 0, 30, ("a", "b"), lambda *_: "", None))
    pipeline.add(Signal("abc", 0, 45, ("ab", "c"), lambda *_: "", None))
    pipeline.outputs.append("abc")
    earliest = place(pipeline, DELAYS, 2.5, [0.0] * 3)
    assert (earliest.latency, earliest.cycle["ab"]) == (1, 0)
    assert retime(pipeline, earliest, operation_delays(pipeline, DELAYS), 2.5) == earliest


def test_registers_are_counted_as_they_are_written() -> None:
    pipeline = matrix(1)
    for period_ns in (2.6, 5.0, 100.0):
        placement = place(pipeline, DELAYS, period_ns, [0.0] * 40)
        declared = re.findall(r"logic(?: signed)? \[(\d+):0\] \w+_q\d+;", render(pipeline, placement))
        assert register_bits(pipeline, placement) == sum(int(high) + 1 for high in declared)
        assert bool(declared) == (period_ns < 100.0)


def test_a_design_is_as_large_as_its_luts_and_registers() -> None:
    parts = stages(random_graph(1, [40, 24, 10], "ternary").logits())
    graphs = [layer_graph(part, 4, Ranges.of_input(part), np.ones(part.n_out, np.bool_)) for part in parts]
    luts = sum(graph.luts for graph in graphs)
    sizes = [sized(DELAYS, graphs, period_ns).size for period_ns in (1000.0, 8.8, 4.4)]
    assert sizes[0] == luts
    assert sizes == sorted(set(sizes))  # a faster clock takes more registers
    assert sized(DELAYS, graphs, 1000.0, 700.0).size == luts + 700
    assert sized(DELAYS, [], 5.0).size == 0
