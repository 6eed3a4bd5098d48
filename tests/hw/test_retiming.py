"""Where registers go: cut for the period, then moved to where they are fewest."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.target import Part
from hw.emit.adders import add_matrix
from hw.emit.pipeline import Pipeline, Placement, Signal, operation_delays, place
from hw.emit.retiming import retime
from hw.measure.delays import DelayModel

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


@pytest.mark.parametrize("period_ns", [2.6, 4.0, 7.0])
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
