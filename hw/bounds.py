"""Lower bounds of an Architecture that hold whatever its weights will be, known before training."""

from __future__ import annotations

import itertools

from codesign.architecture import Architecture
from codesign.measurement import Figure, Measurement, Provenance
from hw.emit.folded import fold

_QUEUE_CYCLES = 1


def lower_bound(architecture: Architecture) -> Measurement:
    """Cycles of latency and initiation interval below which no candidate of this shape can be.

    Folded: the schedule itself, which the shape alone decides. Parallel: the result queue and one vector per cycle,
    since the registers follow from the adders. There is no bound of LUTs: training may leave units that are constant
    or equal to others, and they cost nothing.
    """
    latency, interval = _folded(architecture) if architecture.hardware.mode == "folded" else (_QUEUE_CYCLES, 1)

    def figure(value: float) -> Figure:
        return Figure(value, "cycles", Provenance.ESTIMATED, "structural bound", "2")

    return Measurement({"latency_cycles": figure(latency), "interval_cycles": figure(interval)})


def _folded(architecture: Architecture) -> tuple[int, int]:
    activations = [layer.activation for layer in architecture.hidden]
    ternary_inputs = [False, *(activation == "ternary" for activation in activations)]
    thresholded = [*(activation == "ternary" for activation in activations), False]
    latencies, intervals = [], []
    shapes = itertools.pairwise(architecture.widths)
    for shape, ternary, trits in zip(shapes, ternary_inputs, thresholded, strict=True):
        folding = fold(*shape, architecture.hardware.folding)
        latencies.append(folding.latency(*shape, ternary_input=ternary, thresholded=trits))
        intervals.append(folding.interval(*shape, latencies[-1]))
    return sum(latencies), max(intervals)
