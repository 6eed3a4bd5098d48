"""Lower bounds of an Architecture, known before training."""

from __future__ import annotations

import itertools

from codesign.architecture import Architecture
from codesign.measurement import Figure, Measurement, Provenance
from hw.emit.folded import fold

_QUEUE_CYCLES = 1


def lower_bound(architecture: Architecture) -> Measurement:
    """LUT, cycles of latency and initiation interval below which no candidate of this shape can be.

    Cycles hold whatever the weights will be. Folded: the schedule itself, which the shape alone decides. Parallel: the
    result queue and one vector per cycle, since the registers follow from the adders. LUTs: a unit takes at least one,
    but training may leave units that are constant or equal to others and cost nothing; that these are at most half of
    a parallel network's hidden units is assumed. A folded layer computes its units one after the other: no bound.
    """
    if architecture.hardware.mode == "folded":
        luts, (latency, interval) = 0, _folded(architecture)
    else:
        luts, latency, interval = sum(layer.units for layer in architecture.hidden) // 2, _QUEUE_CYCLES, 1

    def figure(value: float, unit: str) -> Figure:
        return Figure(value, unit, Provenance.ESTIMATED, "structural bound", "2")

    return Measurement(
        {
            "lut": figure(luts, "LUT"),
            "latency_cycles": figure(latency, "cycles"),
            "interval_cycles": figure(interval, "cycles"),
        }
    )


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
